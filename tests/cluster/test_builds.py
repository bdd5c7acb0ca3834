"""Builds on a real grid: what they may take, how they end before their time, and what of them is told later."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, Load
from tests.cluster.scripted import app, open_scripted

LIMITS = {
    "memory": (
        "python3 -c 'x = bytearray(1 << 30); x[::4096] = bytes(len(x[::4096]))'",
        "out of memory: limit 256 MiB; the buildpack scripted ended with code ",
    ),
    "disk": ("head -c 900M /dev/zero > here; sleep 100", "out of disk: limit 256 MiB"),
    "cached": ('head -c 900M /dev/zero > "$1/here"; sleep 100', "out of disk: limit 256 MiB"),
    "unseen": ('exec 3>"$1/held"; rm "$1/held"; head -c 900M /dev/zero >&3; sleep 100', "out of disk: limit 256 MiB"),
    "gone": ("exec 3>held; rm held; head -c 900M /dev/zero >&3; sleep 100", "out of disk: limit 256 MiB"),
    "tmp": ("head -c 900M /dev/zero > /tmp/here", "the buildpack scripted ended with code 1; the lines above say why"),
    "forks": ("for i in $(seq 300); do sleep 60 & done; wait", "out of processes: limit 100; "),
    "time": ("trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & wait", "build took over 5 s"),
}  # fmt: skip
"""What a build does, and how the reason begins for which it fails."""


async def last(grid: Grid, name: str) -> dict[str, Any]:
    """The last build of the app, as it is told of."""
    found: list[dict[str, Any]] = (await grid.ok("build", "list", "-a", name, "--json")).json
    return found[0]


async def building(grid: Grid, name: str) -> dict[str, Any]:
    """The app's build, once its script runs."""

    async def runs() -> bool:
        said = await grid.flynn("log", "-a", name, "--raw")
        return "at work" in [line.strip() for line in said.out.splitlines()]

    await grid.until(runs, 30, f"the build of {name} is at work")
    return await last(grid, name)


def cache(grid: Grid, name: str) -> Path:
    """The directory that the builds of the app find again."""
    (found,) = (grid.data / "host" / "cache").glob(f"build-{name}-*")
    return found


def left_of(grid: Grid, words: str) -> list[psutil.Process]:
    """Processes that have these words in their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found += [process] if words in process.cmdline() else []
    return found


async def test_a_build_that_takes_too_much_is_ended_and_hurts_nobody(tmp_path: Path) -> None:
    rules = {"timeout": 5, "memory": 256, "pids": 100, "disk": 256}
    settings = [word for name, number in rules.items() for word in ("--set", f"builder.{name}={number}")]
    async with open_scripted(*settings) as grid:
        await grid.ok("create", "neighbour")
        await grid.ok("deploy", str(apps.server(tmp_path / "neighbour")), "-a", "neighbour")
        (before,) = await grid.jobs("neighbour", "up")
        async with Load(grid, "neighbour", clients=2, pause=0.05).running() as load:
            for name, (script, reason) in LIMITS.items():
                await grid.ok("create", name)
                said = await grid.flynn("deploy", str(app(tmp_path / name, script)), "-a", name)
                assert said.code == 1, (name, said.out)
                assert f"build failed: {reason}" in said.err, (name, said)
                build = await last(grid, name)
                assert (build["state"], build["reason"].startswith(reason)) == ("failed", True), build
        (after,) = await grid.jobs("neighbour", "up")
        assert (after["id"], after["pid"], after["restarts"]) == (before["id"], before["pid"], 0)
        assert not load.failures
        jobs = grid.data / "host" / "jobs"
        assert [path.name for path in jobs.glob("*-build-*/upper")] == []
        assert not list((grid.data / "host" / "cache").glob("build-cached-*"))


async def test_what_a_build_prints_is_bounded(tmp_path: Path) -> None:
    """A line of 100 MB, then much more, none of it text: the log has the beginning, and says that there was more."""
    script = "head -c 100M /dev/urandom | tr -d '\\n'; printf '\\033[2J\\n'; yes too much | head -c 200M; exit 3"
    async with open_scripted() as grid:
        await grid.ok("create", "loud")
        said = await grid.flynn("deploy", str(app(tmp_path / "loud", script)), "-a", "loud")
        assert "the build has printed over 16 MiB: what follows is left out" in said.out
        assert "build failed: the buildpack scripted ended with code 3" in said.err
        assert len(said.out) < 100 << 20
        shown = await grid.flynn("build", "log", "-a", "loud")
        assert (shown.code, "left out" in shown.out) == (1, True)


async def test_a_build_under_way_is_shown_from_its_beginning(tmp_path: Path) -> None:
    """As one that has ended, whenever somebody comes."""
    script = 'for i in $(seq 3000); do echo "line $i"; done; echo at work; while [ ! -e "$1/go" ]; do sleep 0.1; done'
    async with open_scripted() as grid:
        await grid.ok("create", "hello")
        deploying = asyncio.create_task(grid.flynn("deploy", str(app(tmp_path / "hello", script)), "-a", "hello"))
        await building(grid, "hello")
        showing = asyncio.create_task(grid.ok("build", "log", "-a", "hello"))
        await asyncio.sleep(1)
        (cache(grid, "hello") / "go").touch()
        shown, deployed, later = await showing, await deploying, await grid.ok("build", "log", "-a", "hello")
        for said in (shown, deployed, later):
            lines = [line.split()[1] for line in said.out.splitlines() if line.strip().startswith("line ")]
            assert lines == [f"{number}" for number in range(1, 3001)]


async def test_a_build_is_cancelled_queued_or_running(tmp_path: Path) -> None:
    async with open_scripted("--set", 'controller.queues={"builders": {"running": 1}}') as grid:
        for name in ("one", "two"):
            await grid.ok("create", name)
        script = "trap '' TERM; echo at work; (trap '' TERM; sleep 987.5) & wait; sleep 987.5"
        first = asyncio.create_task(grid.flynn("deploy", str(app(tmp_path / "one", script)), "-a", "one"))
        assert (await building(grid, "one"))["state"] == "building"
        second = asyncio.create_task(grid.flynn("deploy", str(app(tmp_path / "two", script)), "-a", "two"))

        async def queued() -> bool:
            found = (await grid.ok("build", "list", "-a", "two", "--json")).json
            return bool(found and found[0]["waits"])

        await grid.until(queued, 20, "the second build waits")
        refused = await grid.flynn("deploy", str(tmp_path / "one"), "-a", "one")
        assert "build 1 of one is under way" in refused.err
        for name, deploying in (("two", second), ("one", first)):
            assert (await grid.ok("build", "cancel", "-a", name)).out == f"build 1 of {name} is cancelled\n"
            said = await deploying
            assert (said.code, f"build 1 of {name} was cancelled: a user asked for it" in said.err) == (1, True)
            build = await last(grid, name)
            assert (build["state"], build["release"]) == ("cancelled", 0)
        assert not left_of(grid, "987.5")
        again = await grid.flynn("build", "cancel", "-a", "one")
        assert "build 1 of one has ended already" in again.err
        shown = await grid.flynn("build", "log", "-a", "one")
        assert (shown.code, "at work" in shown.out) == (1, True)
        (tmp_path / "one" / "build.sh").write_text("echo quick\n")
        await grid.ok("deploy", str(tmp_path / "one"), "-a", "one")
        assert (await last(grid, "one"))["release"] == 1
        listed = (await grid.ok("build", "list", "-a", "one")).out.splitlines()
        assert [line.split()[0] for line in listed] == ["BUILD", "2", "1"]
        events = (await grid.ok("events", "-a", "one", "--json")).out.splitlines()
        told = [event["text"] for event in map(json.loads, events) if event["kind"] == "build"]
        assert any("was cancelled: a user asked for it" in text for text in told)


async def test_a_daemon_killed_while_it_builds_builds_once(tmp_path: Path) -> None:
    """Killed while the job runs, and again before it ends, which nobody sees: there is one release of it."""
    script = 'echo at work; while [ ! -e "$1/go" ]; do sleep 0.1; done; echo done'
    async with open_scripted() as grid:
        await grid.ok("create", "hello")
        deploying = asyncio.create_task(grid.flynn("deploy", str(app(tmp_path / "hello", script)), "-a", "hello"))
        job = (await building(grid, "hello"))["job"]
        await grid.kill()
        cut = await deploying
        assert cut.code == 1
        await grid.start()
        build = await last(grid, "hello")
        assert (build["job"], build["state"]) == (job, "building")
        await grid.kill()
        (cache(grid, "hello") / "go").touch()
        await grid.until(lambda: _has_ended(grid, job), 30, "the build has ended unseen")
        await grid.start()
        shown = await grid.ok("build", "log", "-a", "hello")
        assert "build 1 of hello became v1" in shown.out
        await grid.kill()
        await grid.start()
        await grid.until(lambda: _is_up(grid, "hello"), 30, "it serves")
        releases = (await grid.ok("release", "-a", "hello", "--json")).json
        assert [release["version"] for release in releases] == [1]
        assert [build["number"] for build in (await grid.ok("build", "list", "-a", "hello", "--json")).json] == [1]
        assert list((grid.data / "builder" / "uploads").iterdir()) == []


async def test_a_daemon_killed_while_a_source_comes_in_leaves_nothing_of_it(tmp_path: Path) -> None:
    async with open_scripted() as grid:
        await grid.ok("create", "hello")
        uploads, sent = grid.data / "builder" / "uploads", asyncio.Event()

        async def half() -> AsyncIterator[bytes]:
            yield os.urandom(1 << 20)
            sent.set()
            await asyncio.sleep(60)

        told = json.loads((grid.data / "client.json").read_text())
        headers = {"Authorization": f"Bearer {told['token']}"}

        async def post() -> None:
            async with aiohttp.ClientSession(headers=headers) as session:
                async with session.post(f"{told['url']}/v1/apps/hello/builds", data=half()) as response:
                    await response.read()

        async def received() -> bool:
            return any(path.stat().st_size for path in uploads.iterdir())

        sending = asyncio.create_task(post())
        await sent.wait()
        await grid.until(received, 20, "the beginning of the source has come")
        await grid.kill()
        with pytest.raises(aiohttp.ClientError):
            await sending
        await grid.start()
        assert list(uploads.iterdir()) == []
        assert (await grid.ok("build", "list", "-a", "hello", "--json")).json == []
        await grid.ok("deploy", str(app(tmp_path / "hello", "echo quick\n")), "-a", "hello")


async def _has_ended(grid: Grid, job: str) -> bool:
    is_made = (grid.data / "host" / "jobs" / job / "out" / "result.json").exists()
    return is_made and not any("inside" in " ".join(words) for words in grid.commands())


async def _is_up(grid: Grid, name: str) -> bool:
    return bool(await grid.jobs(name, "up"))


async def test_packages_are_a_layer_that_releases_share(tmp_path: Path) -> None:
    """What is in the layer is neither built, nor packed, nor sent, nor unpacked again."""
    server = "from flask import Flask\napp = Flask(__name__)\n\n@app.get('/')\ndef show():\n    return 'first'\n"
    files = {"requirements__txt": "flask\ngunicorn\n", "Procfile": "web: gunicorn app:app --bind 0.0.0.0:$PORT\n"}
    source = apps.make(tmp_path / "app", app__py=server, **files)
    async with open_scripted() as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(source), "-a", "hello")
        assert await grid.get("hello") == (200, "first")
        (source / "app.py").write_text(server.replace("first", "second"))
        said = await grid.ok("deploy", str(source), "-a", "hello")
        assert "Nothing has changed in what it needs: installed as before" in said.out
        assert await grid.get("hello") == (200, "second")
        (source / "requirements.txt").write_text("flask\ngunicorn\nsix\n")
        said = await grid.ok("deploy", str(source), "-a", "hello")
        assert "Installing requirements.txt" in said.out
        found = [release["artifact"] for release in (await grid.ok("release", "-a", "hello", "--json")).json]
        third, second, first = (artifact["layers"] for artifact in found)
        assert (first == second, set(third) & set(first)) == (True, set())
        assert found[1]["size"] < 10_000
        await grid.ok("release", "rollback", "v1", "-a", "hello")
        assert await grid.get("hello") == (200, "first")
        await grid.ok("scale", "web=0", "-a", "hello")
        for layer in third.values():  # The shelf loses it, and no host has it.
            (blob,) = (grid.data / "shelf").rglob(layer)
            blob.unlink()
            shutil.rmtree(grid.data / "host" / "layers" / layer)
        await grid.ok("scale", "web=1", "-a", "hello")
        (source / "app.py").write_text(server.replace("first", "fifth"))
        await grid.ok("deploy", str(source), "-a", "hello")
        assert await grid.get("hello") == (200, "fifth")


REACHED = """
import os, socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
        print("reached", place)
    except OSError:
        pass
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock"):
    if os.path.exists(path):
        print("sees", path)
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/usr", "/dev")):
        continue
    print(*(f"sees {folder}/{name}" for name in files if name in ("client.json", "store.db", "secret")), sep="\\n")
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/environ", "rb") as file:
        if b"of-the-neighbour" in file.read():
            print("reads the environment of", pid)
print("has looked")
"""


async def test_a_build_reaches_nothing_of_its_node_and_sees_nothing_of_others(tmp_path: Path) -> None:
    async with open_scripted() as grid:
        (host,) = (await grid.ok("host", "--json")).json
        if host.get("no_own"):
            pytest.skip(f"no network of its own here: {host['no_own']}")
        await grid.ok("create", "neighbour")
        await grid.ok("env", "set", "-a", "neighbour", "SECRET=of-the-neighbour")
        source = apps.server(tmp_path / "neighbour")
        (source / "secret").write_text("of the neighbour")
        await grid.ok("deploy", str(source), "-a", "neighbour")
        (cache(grid, "neighbour") / "secret").write_text("of the neighbour")
        (job,) = await grid.jobs("neighbour", "up")
        addresses = {"127.0.0.1", host["address"], *(a.address for found in psutil.net_if_addrs().values()
                     for a in found if a.family == socket.AF_INET)}  # fmt: skip
        places = [f"{address}:{port}" for address in addresses for port in (grid.port, grid.http_port, job["port"])]
        script = f"cat > look.py <<'END'\n{REACHED}\nEND\npython3 look.py {' '.join(places)} 169.254.169.254:80\n"
        await grid.ok("create", "curious")
        said = await grid.ok("deploy", str(app(tmp_path / "curious", script)), "-a", "curious")
        lines = [line.strip() for line in said.out.splitlines()]
        assert "has looked" in lines
        assert [line for line in lines if line.startswith(("reached", "sees", "reads"))] == []

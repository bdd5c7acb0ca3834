"""Jobs from assignment to end, as the grid sees them; each with both backends."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.core.model import Router
from flynn.plugins.host.backends.backend import Backend
from tests.plugins.host.rig import SERVE, Rig, alive, ask, open_rig


@pytest.fixture
async def rig(light_backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host with its agent."""
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        yield rig


async def test_a_service_comes_up_and_is_found(rig: Rig) -> None:
    await rig.assign(rig.web("web-1"))
    up = await rig.state("web-1", "up")
    assert (up.failure, up.reason, up.exit_code, up.restarts) == ("", "", None, 0)
    assert alive(up.pid)
    instance = rig.instance("web-1")
    assert instance is not None
    assert instance.address == f"127.0.0.1:{up.port}"
    assert (instance.job, instance.host, instance.draining) == ("web-1", "host-a", False)
    assert await ask(instance) == "web-1"
    await rig.until_printed("web-1", "serving")
    await rig.until_told("web-1", f"up on port {up.port}")
    assert await rig.printed("web-1", "flynn") == ["started", f"up on port {up.port}"]


async def test_a_stop_waits_for_the_routers(rig: Rig) -> None:
    await rig.routers(Router(host="host-a", revision=1), Router(host="host-b", revision=1))
    job = rig.web("web-1")
    await rig.assign(job)
    up = await rig.state("web-1", "up")
    await rig.assign(job, stop=True)
    await rig.node.mirror.until(lambda f: (i := f.services.get("hello-web/web-1")) is not None and i.draining, 10)
    revision = rig.node.mirror.facts.revision
    await rig.routers(Router(host="host-a", revision=revision))
    await rig.routers(Router(host="host-b", revision=revision, draining={"hello-web/web-1": 1}))
    await rig.state("web-1", "stopping")
    assert alive(up.pid)
    assert rig.instance("web-1") is not None
    await rig.routers(Router(host="host-b", revision=revision))
    down = await rig.state("web-1", "down")
    assert (down.reason, down.failure, down.pid, down.port) == ("stopped", "", 0, 0)
    assert down.exit_code == 143
    assert rig.instance("web-1") is None
    assert not alive(up.pid)


async def test_a_router_that_never_confirms_holds_nobody_up_for_ever(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name, drain_timeout=0.3) as rig, rig.running():
        await rig.routers(Router(host="host-b", revision=1))
        job = rig.web("web-1")
        await rig.assign(job)
        await rig.state("web-1", "up")
        await rig.assign(job, stop=True)
        assert (await rig.state("web-1", "down")).reason == "stopped"
        assert "routers were not done with it within 0.3 s" in await rig.printed("web-1", "flynn")


async def test_what_does_not_end_is_killed(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name, stop_timeout=0.5) as rig, rig.running():
        job = rig.web("web-1", env={"SLOW": "1"})
        await rig.assign(job)
        up = await rig.state("web-1", "up")
        await rig.assign(job, stop=True)
        down = await rig.state("web-1", "down")
        assert down.reason == "stopped; killed, as it did not end within 0.5 s"
        assert down.exit_code == 137
        assert not alive(up.pid)


async def test_a_crash_is_restarted_with_growing_pauses(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "echo run; exit 3"))
    state = await rig.state("worker-1", lambda s: s.restarts == 6)
    assert (state.state, state.failure, state.exit_code) == ("starting", "crash", 3)
    assert re.fullmatch(r"crash loop: 5 restarts in \d+ s, next try in 10 s: exited with code 3", state.reason)
    assert await rig.printed("worker-1") == ["run"] * 6


async def test_a_stop_while_it_waits_for_its_restart_works_at_once(rig: Rig) -> None:
    job = rig.job("worker-1", "exit 3")
    await rig.assign(job)
    await rig.state("worker-1", lambda s: s.restarts == 6)
    await rig.assign(job, stop=True)
    assert (await rig.state("worker-1", "down", 5)).reason == "stopped"


async def test_a_crash_unregisters_at_once(rig: Rig) -> None:
    await rig.assign(
        rig.web("web-1", f'test -e "$CACHE_DIR/gone" && exec sleep 60; touch "$CACHE_DIR/gone"; {SERVE}', cache="c")
    )
    up = await rig.state("web-1", "up")
    instance = rig.instance("web-1")
    assert instance is not None
    os.kill(up.pid, signal.SIGKILL)
    state = await rig.state("web-1", lambda s: s.restarts == 1)
    assert (state.failure, state.exit_code, state.reason) == ("crash", 137, "killed by signal 9 (SIGKILL)")
    await rig.node.mirror.until(lambda f: "hello-web/web-1" not in f.services, 5)


async def test_what_never_listens_is_a_boot_failure(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name, boot_timeout=0.5) as rig, rig.running():
        await rig.assign(rig.web("web-1", "exec sleep 60"))
        state = await rig.state("web-1", lambda s: s.failure == "boot")
        assert state.reason.startswith("did not listen on port 2")
        assert state.reason.endswith(" within 0.5 s")
        assert (state.state, state.restarts) == ("starting", 1)
        assert rig.instance("web-1") is None


async def test_what_ends_while_booting_is_a_crash_at_once(rig: Rig) -> None:
    await rig.assign(rig.web("web-1", "exit 5"))
    state = await rig.state("web-1", lambda s: s.restarts > 0, 10)
    assert (state.failure, state.exit_code) == ("crash", 5)


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("exit 0", 0, "exited with code 0"),
        ("exit 3", 3, "exited with code 3"),
        ("kill -9 $$", 137, "killed by signal 9 (SIGKILL)"),
    ],
)
async def test_one_off_jobs_run_once(rig: Rig, command: str, code: int, reason: str) -> None:
    await rig.assign(rig.job("run-1", f"echo ran; {command}", queue="ephemeral"))
    down = await rig.state("run-1", "down")
    assert (down.exit_code, down.reason, down.restarts) == (code, reason, 0)
    assert await rig.printed("run-1") == ["ran"]
    assert (await rig.printed("run-1", "flynn"))[-1] == reason


async def test_a_build_leaves_its_slug_on_the_shelf(rig: Rig) -> None:
    command = 'printf slug >"$OUT_DIR/slug.tgz"; printf \'{"a": 1}\' >"$OUT_DIR/result.json"; env | sort'
    await rig.assign(rig.job("build-1", command, queue="builders", output=True))
    down = await rig.state("build-1", "down")
    assert down.output is not None
    assert rig.shelf.blobs[down.output.sha256] == b"slug"
    assert (down.exit_code, down.result, down.output.size) == (0, '{"a": 1}', 4)


async def test_a_build_that_is_down_is_down_though_what_is_left_of_it_is_still_cleared_away(rig: Rig) -> None:
    """Its assignment goes as soon as it is told to be down, which before would have stopped it."""
    many = "seq 300 | xargs touch; "
    for number in range(3):
        id = f"build-{number}"
        await rig.assign(rig.job(id, f'{many} echo a >"$OUT_DIR/slug.tgz"; echo last', queue="builders", output=True))
        down = await rig.state(id, "down")
        await rig.unassign(id)
        while [path.name for path in rig.dir(id).iterdir()] != ["job.json"]:
            await asyncio.sleep(0.005)
        assert rig.node.mirror.facts.states[f"{down.host}/{id}"] == down
        assert (down.exit_code, down.reason, await rig.printed(id)) == (0, "exited with code 0", ["last"])


async def test_an_agent_that_ends_first_clears_away_what_a_build_has_left(
    light_backend: Backend, tmp_path: Path
) -> None:
    """It is down for a second by then at most."""
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig:
        async with rig.running():
            await rig.assign(rig.job("build-1", 'echo a >"$OUT_DIR/slug.tgz"', queue="builders", output=True))
            await rig.state("build-1", "down")
        left = {path.name for path in rig.dir("build-1").iterdir()}
        assert not left & {"upper", "work", "home", "cgroup"}
        async with rig.running():
            assert [path.name for path in rig.dir("build-1").iterdir()] == ["job.json"]


async def test_what_was_built_here_is_started_without_the_shelf(rig: Rig) -> None:
    """Unless it cannot be unpacked, which is told once it is asked for."""
    packed = 'tar -czf "$OUT_DIR/slug.tgz" -C "$APP_DIR" . && mkdir "$OUT_DIR/layers" && '
    packed += 'echo none >"$OUT_DIR/layers/broken-1.tgz"'
    await rig.assign(rig.job("build-1", packed, queue="builders", output=True))
    built = (await rig.state("build-1", "down")).output
    assert built
    await rig.assign(rig.web("web-1", layers={"app": built.sha256}))
    await rig.state("web-1", "up")
    assert built.sha256 not in rig.shelf.asked
    await rig.assign(rig.job("worker-1", "true", layers={"app": built.layers["broken-1"]}))
    assert "damaged" in (await rig.state("worker-1", "down")).reason


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("true", "left no /out/slug.tgz"),
        ('ln -s /etc/passwd "$OUT_DIR/slug.tgz"', "left no /out/slug.tgz"),
        (
            'echo a >"$OUT_DIR/slug.tgz"; head -c 70000 /dev/zero >"$OUT_DIR/result.json"',
            "left a /out/result.json of 70000 bytes; 65536 at most",
        ),
        ('truncate -s 900G "$OUT_DIR/slug.tgz"', "left /out/slug.tgz of 900 GiB; 2 GiB at most"),
        (
            'cd "$OUT_DIR"; echo a >slug.tgz; mkdir layers; truncate -s 900G layers/a-1.tgz',
            "left /out/layers/a-1.tgz of 900 GiB; 2 GiB at most",
        ),
    ],
)
async def test_a_build_without_good_output_says_so(rig: Rig, command: str, reason: str) -> None:
    await rig.assign(rig.job("build-1", command, queue="builders", output=True))
    down = await rig.state("build-1", "down")
    assert (down.exit_code, down.reason, down.output) == (0, reason, None)


async def test_a_blob_that_is_missing_or_damaged(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "true", layers={"app": "0" * 64}))
    down = await rig.state("worker-1", "down")
    assert (down.failure, down.exit_code) == ("start", None)
    assert "blob 000000000000 is on no shelf that is up" in down.reason
    sha256 = rig.shelf.add(b"once")
    rig.shelf.blobs[sha256] = b"twice"
    await rig.assign(rig.job("worker-2", "true", layers={"app": sha256}))
    down = await rig.state("worker-2", "down")
    assert down.failure == "start"
    assert "damaged" in down.reason


async def test_what_a_job_may_not_ask_for(rig: Rig) -> None:
    good = rig.shelf.add(b"")
    await rig.assign(
        rig.job("worker-1", "true", layers={"usr": good}),
        rig.job("worker-2", "true", cache="../x"),
        rig.job("worker-3", "true", env={"A=B": "c"}),
    )
    for id, text in (("worker-1", "layer"), ("worker-2", "cache"), ("worker-3", "variable")):
        down = await rig.state(id, "down")
        assert down.failure == "start"
        assert text in down.reason


async def test_a_job_that_is_suspended_hears_of_its_stop(rig: Rig) -> None:
    job = rig.job("worker-1", "trap 'echo heard; exit 5' TERM; echo ready; kill -STOP $$; while :; do sleep 0.1; done")
    await rig.assign(job)
    await rig.state("worker-1", "up")
    await rig.until_printed("worker-1", "ready")
    await rig.assign(job, stop=True)
    down = await rig.state("worker-1", "down")
    assert (down.exit_code, down.reason) == (5, "stopped")
    assert await rig.printed("worker-1") == ["ready", "heard"]


async def test_a_stop_before_the_start(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "echo never"), stop=True)
    down = await rig.state("worker-1", "down")
    assert (down.reason, down.failure) == ("stopped", "")
    assert await rig.printed("worker-1") == []


async def test_many_jobs_share_a_layer_and_no_port(rig: Rig) -> None:
    jobs = [rig.web(f"web-{n}") for n in range(4)]
    await rig.assign(*jobs)
    ports = {(await rig.state(job.id, "up")).port for job in jobs}
    assert len(ports) == 4
    assert set(rig.shelf.asked.values()) == {1}
    for job in jobs:
        instance = rig.instance(job.id)
        assert instance is not None
        assert await ask(instance) == job.id


async def test_a_job_without_assignment_is_stopped(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "exec sleep 60"))
    up = await rig.state("worker-1", "up")
    await rig.unassign("worker-1")
    assert (await rig.state("worker-1", "down")).reason == "stopped"
    assert not alive(up.pid)


async def test_ended_jobs_are_kept_and_the_oldest_forgotten(rig: Rig) -> None:
    jobs = [rig.job(f"run-{n:02}", "true", queue="ephemeral") for n in range(27)]
    for job in jobs:
        await rig.assign(job)
        await rig.state(job.id, "down")
        await rig.unassign(job.id)
    await rig.node.mirror.until(lambda f: len(f.states) == 25, 10)
    assert "host-a/run-00" not in rig.node.mirror.facts.states
    assert "host-a/run-26" in rig.node.mirror.facts.states
    async with asyncio.timeout(5):
        while rig.dir("run-01").exists():
            await asyncio.sleep(0.01)
    assert sorted(path.name for path in rig.dir("run-26").iterdir()) == ["job.json"]


DIG = """exec python3 -SE -c '
import os
for level in range(1200):
    os.mkdir("d"); os.chdir("d")
'"""


async def test_a_job_that_leaves_a_tree_without_end_harms_nobody(rig: Rig) -> None:
    """The agent removes what the job leaves: that shall not be its own end."""
    await rig.assign(rig.job("deep-1", DIG, queue="ephemeral"))
    down = await rig.state("deep-1", "down")
    assert (down.exit_code, down.reason) == (0, "exited with code 0")
    left = {path.name for path in rig.dir("deep-1").iterdir()} - {"job.json"}
    assert "root" not in left
    assert "upper" not in left
    await rig.assign(rig.web("web-1"))
    await rig.state("web-1", "up")


async def test_a_job_whose_directory_somebody_removed_ends_alone(rig: Rig) -> None:
    await rig.assign(rig.job("gone-1", "exec sleep 60", queue="ephemeral"), rig.web("web-1"))
    up = await rig.state("gone-1", "up")
    await rig.state("web-1", "up")
    shutil.rmtree(rig.dir("gone-1"))
    os.kill(up.pid, signal.SIGKILL)
    await rig.state("gone-1", "down")
    await rig.assign(rig.web("web-2"))
    await rig.state("web-2", "up")
    assert rig.node.mirror.facts.states["host-a/web-1"].state == "up"

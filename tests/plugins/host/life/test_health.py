"""Jobs are registered while they are well, by what their process type says well is; and end as it says."""

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flynn.core.model import Check, Job
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.life.health import listens
from tests.plugins.host.rig import Rig, alive, open_rig

SERVER = """
import http.server, os, pathlib, threading, time
told = pathlib.Path(os.environ["CACHE_DIR"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = told / f"asked.{os.environ['FLYNN_JOB_ID']}.{threading.get_native_id()}"
        asked.write_text(f"{self.path}\\n{self.headers}")
        asked.rename(told / "asked")
        status, _, body = (told / "answer").read_text().partition(" ")
        if status == "never":
            time.sleep(600)
        self.send_response(int(status))
        self.end_headers()
        self.wfile.write(body.encode())
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
async def rig(light_backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host with its agent."""
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        yield rig


def told(rig: Rig) -> Path:
    """The directory by which a test tells a job's server what to answer."""
    path = rig.node.node.data / "host" / "cache" / "c"
    path.mkdir(parents=True, exist_ok=True)
    return path


def answers(rig: Rig, text: str) -> None:
    """From now on the server answers so (`STATUS BODY`)."""
    (told(rig) / "next").write_text(text)
    (told(rig) / "next").rename(told(rig) / "answer")


def server(rig: Rig, answer: str, **check: Any) -> Job:
    """A web server that answers as it is told, and the check of it."""
    answers(rig, answer)
    fast = {"interval": 0.1, "timeout": 10.0, **check}
    return rig.web("web-1", "exec python3 -SE s.py", files={"s.py": SERVER}, cache="c", check=Check(**fast))


async def registered(rig: Rig, wanted: bool) -> None:
    await rig.node.mirror.until(lambda f: ("hello-web/web-1" in f.services) == wanted, 10)


async def test_a_server_is_registered_while_it_answers_well(rig: Rig) -> None:
    await rig.assign(server(rig, "503", kind="http", path="/up?x=%2F"))
    await rig.state("web-1", lambda s: s.pid > 0)
    while not (told(rig) / "asked").exists():
        await rig.node.mirror.catch_up(rig.node.mirror.facts, 0.05)
    assert rig.instance("web-1") is None
    answers(rig, "200")
    up = await rig.state("web-1", "up")
    await registered(rig, True)
    asked = (told(rig) / "asked").read_text()
    assert asked.startswith(f"/up?x=%2F\nHost: 127.0.0.1:{up.port}\n")
    assert "Authorization" not in asked
    answers(rig, "500")
    ill = await rig.state("web-1", lambda s: bool(s.reason))
    assert (ill.state, ill.restarts) == ("up", 0)
    assert ill.reason == f"GET /up?x=%2F on port {up.port} was answered with 500, not 200"
    await registered(rig, False)
    answers(rig, "200")
    await rig.state("web-1", lambda s: s.state == "up" and not s.reason)
    await registered(rig, True)
    assert await rig.printed("web-1", "flynn") == [
        "started", f"up on port {up.port}", f"{ill.reason}: unregistered until it is well", "is well again",
    ]  # fmt: skip


async def test_the_answer_is_looked_through_as_far_as_it_goes(rig: Rig) -> None:
    await rig.assign(server(rig, "204 " + "x" * 5110 + "all is well", kind="http", match="all is well", status=204))
    answers(rig, "200 " + "x" * 5110 + "all is well")
    check = Check(kind="http", match="all is well", host="hello.example", interval=0.1)
    await rig.assign(rig.web("web-2", "exec python3 -SE s.py", files={"s.py": SERVER}, cache="c", check=check))
    await rig.state("web-2", lambda s: s.pid > 0)
    (told(rig) / "asked").unlink(missing_ok=True)
    while not (told(rig) / "asked").exists():
        await rig.node.mirror.catch_up(rig.node.mirror.facts, 0.05)
    assert rig.node.mirror.facts.states["host-a/web-2"].state == "starting"
    answers(rig, "200 " + "x" * 5109 + "all is well")
    await rig.state("web-2", "up")


async def test_a_server_that_does_not_answer_in_time_is_not_well(rig: Rig) -> None:
    await rig.assign(server(rig, "200", kind="http", timeout=0.2))
    up = await rig.state("web-1", "up")
    answers(rig, "never")
    ill = await rig.state("web-1", lambda s: bool(s.reason))
    assert ill.reason == f"GET / on port {up.port} was not answered within 0.2 s"


async def test_a_worker_is_checked_by_a_command_of_its_own(rig: Rig) -> None:
    ok = told(rig) / "ok"
    check = Check(kind="command", command='test -e "$CACHE_DIR/ok"', interval=0.1, kill_after=60)
    await rig.assign(rig.job("worker-1", "exec sleep 60", cache="c", check=check))
    assert (await rig.state("worker-1", lambda s: s.pid > 0)).state == "starting"
    ok.touch()
    await rig.state("worker-1", "up")
    ok.unlink()
    ill = await rig.state("worker-1", lambda s: bool(s.reason))
    assert (ill.state, ill.reason) == ("up", "its check ended with code 1")
    ok.touch()
    await rig.state("worker-1", lambda s: s.state == "up" and not s.reason)
    assert await rig.printed("worker-1", "flynn") == ["started", "up", ill.reason, "is well again"]


async def test_a_check_that_hangs_is_ended_and_means_no_good(rig: Rig) -> None:
    check = Check(kind="command", command="sleep 60", interval=0.1, timeout=0.2, start_timeout=1.5)
    await rig.assign(rig.job("worker-1", "exec sleep 60", check=check))
    state = await rig.state("worker-1", lambda s: s.failure == "boot")
    assert state.reason == "did not come up within 1.5 s: its check did not end within 0.2 s"
    assert (state.state, state.restarts) == ("starting", 1)


async def test_one_that_is_not_well_for_too_long_is_killed_and_started_again(rig: Rig) -> None:
    await rig.assign(server(rig, "200", kind="http", kill_after=0.5))
    up = await rig.state("web-1", "up")
    answers(rig, "500")
    again = await rig.state("web-1", lambda s: s.restarts == 1)
    why = f"GET / on port {up.port} was answered with 500, not 200 for 0.5 s, so it is killed"
    assert (again.state, again.failure, again.reason) == ("starting", "health", why)
    assert not alive(up.pid)
    answers(rig, "200")
    assert (await rig.state("web-1", "up")).pid != up.pid


async def test_one_found_unwell_stays_so_for_the_next_daemon(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig:
        async with rig.running():
            await rig.assign(server(rig, "200", kind="http"))
            await rig.state("web-1", "up")
            answers(rig, "500")
            ill = await rig.state("web-1", lambda s: bool(s.reason))
            await registered(rig, False)
        async with rig.running():
            (told(rig) / "asked").unlink()
            while not (told(rig) / "asked").exists():
                await rig.node.mirror.catch_up(rig.node.mirror.facts, 0.05)
            assert await rig.state("web-1", "up") == ill
            assert rig.instance("web-1") is None
            answers(rig, "200")
            await registered(rig, True)


async def test_it_ends_by_the_signal_that_it_wants(rig: Rig) -> None:
    loop = "while :; do sleep 0.05; done"
    traps = "trap 'echo int; exit 3' INT; trap 'echo term' TERM; echo ready"
    job = rig.job("worker-1", f"{traps}; {loop}", stop_signal="SIGINT")
    await rig.assign(job)
    await rig.state("worker-1", "up")
    await rig.until_printed("worker-1", "ready")
    await rig.assign(job, stop=True)
    down = await rig.state("worker-1", "down")
    assert (down.exit_code, down.reason) == (3, "stopped")
    assert await rig.printed("worker-1") == ["ready", "int"]


async def test_it_has_the_time_that_it_wants_and_then_nothing_of_it_is_left(rig: Rig) -> None:
    deaf = "trap '' TERM HUP; sh -c \"trap '' TERM HUP; echo ready; while :; do sleep 0.05; done\""
    mark = f"MARK={rig.node.node.port}-{os.getpid()}"
    job = rig.job("worker-1", f"{deaf} & {deaf}", env=dict([mark.split("=")]), stop_timeout=0.3)
    await rig.assign(job)
    await rig.state("worker-1", "up")
    await rig.until_printed("worker-1", "ready", "ready")
    assert len(marked(mark)) > 1
    await rig.assign(job, stop=True)
    down = await rig.state("worker-1", "down")
    assert down.reason == "stopped; killed, as it did not end within 0.3 s"
    assert marked(mark) == []


def marked(mark: str) -> list[str]:
    """The processes with this in their environment."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in environ(pid)]


def environ(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


async def test_a_port_listens_or_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert await listens("127.0.0.1", port, 2.0)
    assert not await listens("127.0.0.1", port, 2.0)

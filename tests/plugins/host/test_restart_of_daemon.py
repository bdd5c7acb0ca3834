"""Jobs outlive the daemon: the next one finds them, their logs and their ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Instance, JobState
from flynn.core.store import Put
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.life.kept import load, save
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from tests.harness import ended
from tests.plugins.host.rig import Rig, alive, ask, open_rig


@pytest.fixture
async def rig(backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host without its agent."""
    async with open_rig(tmp_path / "data", backend=backend.name) as rig:
        yield rig


async def test_a_service_is_adopted(rig: Rig) -> None:
    await rig.assign(rig.web("web-1"))
    async with rig.running():
        before = await rig.state("web-1", "up")
    instance = rig.instance("web-1")
    assert instance is not None
    assert await ask(instance) == "web-1"
    again = rig.node.mirror.facts.stamp("services/hello-web/web-1")
    async with rig.running():
        await rig.node.mirror.until(lambda f: f.stamp("services/hello-web/web-1") != again, 10)
        after = await rig.state("web-1", "up")
        assert after == before
        await rig.until_printed("web-1", "serving")
        assert await ask(instance) == "web-1"


async def test_the_end_of_a_job_is_found_though_nobody_watched(rig: Rig) -> None:
    wait = 'while ! test -e "$CACHE_DIR/go"; do sleep 0.02; done; echo last words; exit 5'
    await rig.assign(rig.job("run-1", wait, queue="ephemeral", cache="c"))
    async with rig.running():
        up = await rig.state("run-1", "up")
    (rig.node.node.data / "host" / "cache" / "c" / "go").touch()
    async with asyncio.timeout(10):
        while not ended(up.pid):
            await asyncio.sleep(0.01)
    async with rig.running():
        down = await rig.state("run-1", "down")
    assert (down.exit_code, down.reason) == (5, "exited with code 5")
    async with rig.running():
        assert await rig.printed("run-1") == ["last words"]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")
async def test_a_job_whose_record_is_damaged_is_begun_anew_and_has_no_twin(rig: Rig) -> None:
    await rig.assign(rig.web("web-1"))
    async with rig.running():
        before = await rig.state("web-1", "up")
    (rig.dir("web-1") / "job.json").write_bytes(b'{"job": {"id"')
    async with rig.running():
        after = await rig.state("web-1", lambda s: s.state == "up" and s.pid != before.pid)
        async with asyncio.timeout(10):
            while alive(before.pid):
                await asyncio.sleep(0.01)
        assert alive(after.pid)


async def test_a_service_that_died_meanwhile_is_restarted(rig: Rig) -> None:
    await rig.assign(rig.web("web-1"))
    async with rig.running():
        before = await rig.state("web-1", "up")
    os.kill(before.pid, signal.SIGKILL)
    async with rig.running():
        after = await rig.state("web-1", lambda s: s.state == "up" and s.restarts == 1)
        assert after.pid != before.pid
        instance = rig.instance("web-1")
        assert instance is not None
        assert instance.address == f"127.0.0.1:{after.port}"


async def test_after_a_reboot_a_service_is_started_again(rig: Rig) -> None:
    await rig.assign(rig.web("web-1"))
    async with rig.running():
        before = await rig.state("web-1", "up")
    os.kill(before.pid, signal.SIGKILL)
    _another_boot(rig)
    async with rig.running():
        after = await rig.state("web-1", lambda s: s.state == "up" and s.pid != before.pid)
        assert after.reason == ""


async def test_after_a_reboot_what_runs_once_is_down_and_the_rest_runs_as_it_shall(rig: Rig) -> None:
    """A service that was about to be tried again too, without a pause that was measured before; what was stopped stays
    down; no log lacks what was printed before."""
    await rig.assign(
        rig.web("web-1"),
        rig.job("worker-1", "echo before; exit 3"),
        rig.job("run-1", "echo begun; exec sleep 600", queue="ephemeral"),
        rig.job("gone-1", "exec sleep 600"),
    )
    async with rig.running():
        states = [await rig.state(id, "up") for id in ("web-1", "run-1", "gone-1")]
        await rig.state("worker-1", lambda s: s.restarts == 6)
        await rig.until_printed("run-1", "begun")
    for state in states:
        os.kill(state.pid, signal.SIGKILL)
    _another_boot(rig)
    await rig.assign(rig.job("gone-1", "exec sleep 600"), stop=True)
    async with rig.running():
        web = await rig.state("web-1", lambda s: s.state == "up" and s.pid != states[0].pid)
        assert rig.instance("web-1") is not None
        assert (web.restarts, web.reason) == (1, "")
        await rig.state("worker-1", lambda s: s.restarts > 6 and s.pid == 0, 9.0)
        run = await rig.state("run-1", "down")
        assert (run.failure, run.restarts) == ("crash", 0)
        assert (await rig.state("gone-1", "down")).reason == "stopped"
        assert await rig.printed("run-1") == ["begun"]
        assert (await rig.printed("worker-1"))[:7] == ["before"] * 7


def _another_boot(rig: Rig) -> None:
    """As if the machine had been started anew: each pid is somebody else's now, here this test's own."""
    from msgspec.structs import replace

    for kept in load(rig.dir("")):
        process = kept.process and replace(kept.process, pid=os.getpid(), boot="another")
        save(rig.dir(kept.job.id), replace(kept, process=process, boot="another"))


async def test_a_job_that_is_not_wanted_any_more_is_stopped(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "exec sleep 60"))
    async with rig.running():
        up = await rig.state("worker-1", "up")
    await rig.unassign("worker-1")
    async with rig.running():
        assert (await rig.state("worker-1", "down")).reason == "stopped"
        assert not alive(up.pid)


async def test_a_job_that_was_stopped_meanwhile_says_why(rig: Rig) -> None:
    job = rig.job("worker-1", "exec sleep 60")
    await rig.assign(job)
    async with rig.running():
        await rig.state("worker-1", "up")
    await rig.assign(job, stop=True, reason="makes way for a service")
    async with rig.running():
        assert (await rig.state("worker-1", "down")).reason == "makes way for a service"


async def test_what_the_store_says_wrongly_is_put_right(rig: Rig) -> None:
    state = JobState(
        id="gone-1", app="hello", type="web", queue="services", release=1, host="host-a", state="up", since=1, created=1
    )  # fmt: skip
    stale = Instance(id="gone-1", service="hello-web", address="127.0.0.1:1", host="host-a", job="gone-1")
    foreign = Instance(id="web-9", service="hello-web", address="127.0.0.1:1", host="host-b", job="web-9")
    records = {
        keys.state("host-a", "gone-1"): state,
        keys.instance("hello-web", "gone-1"): stale,
        keys.instance("hello-web", "web-9"): foreign,
    }
    await rig.node.store.commit([Put(key, encode(record)) for key, record in records.items()])
    async with rig.running():
        facts = await rig.node.mirror.until(
            lambda f: "host-a/gone-1" not in f.states and "hello-web/gone-1" not in f.services, 10
        )
        assert "hello-web/web-9" in facts.services


async def test_a_state_that_the_store_missed_is_told_again(rig: Rig) -> None:
    await rig.assign(rig.job("run-1", "exit 3", queue="ephemeral"))
    async with rig.running():
        down = await rig.state("run-1", "down")
    key = keys.state("host-a", "run-1")
    await rig.node.store.commit(
        [
            Put(
                key,
                encode(JobState(**{f: getattr(down, f) for f in down.__struct_fields__ if f != "state"}, state="up")),
            )
        ]
    )
    async with rig.running():
        assert await rig.state("run-1", "down") == down


async def test_an_attached_job_ends_with_the_daemon(rig: Rig) -> None:
    await rig.assign(rig.job("run-1", "echo here; exec sleep 60", queue="ephemeral", attached=True))
    async with rig.running():
        await rig.state("run-1", lambda s: s.reason == "waits to be attached")
        async with rig.node.http.ws_connect(f"{rig.node.url}/v1/hosts/host-a/jobs/run-1/attach") as socket:
            assert (await socket.receive_bytes(timeout=10)) == b"\x01here\n"
            up = await rig.state("run-1", "up")
    async with rig.running():
        down = await rig.state("run-1", "down")
    assert "client went away" in down.reason
    assert not alive(up.pid)


@asynccontextmanager
async def daemon(data: Path, backend: str, network: str = "host") -> AsyncIterator[asyncio.subprocess.Process]:
    """An agent in a process of its own, killed without a word after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.plugins.host.daemon", str(data), backend, network, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_killed_daemons_lose_no_line_and_double_none(backend: Backend, tmp_path: Path) -> None:
    """Three daemons, each killed -9 at work, over one job that prints numbers all the time."""
    pids = set()
    for _ in range(3):
        async with daemon(tmp_path, backend.name) as process:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                pids.add((await process.stdout.readline()).decode())
                count = int((await process.stdout.readline()).decode())
                while int((await process.stdout.readline()).decode()) < count + 300:
                    pass
    assert len(pids) == 1
    async with open_rig(tmp_path, backend=backend.name) as rig:
        async with rig.running():
            await rig.state("worker-1", "down")
            lines = rig.kept_lines("worker-1")
    assert len(lines) >= 900
    first = int(lines[0])
    assert first == 0 or len(lines) > 9_900, "a log is asked for 10 000 lines at most, some of them flynn's own"
    assert lines == [str(n) for n in range(first, first + len(lines))]


async def test_a_network_of_its_own_outlives_killed_daemons(sandbox: SandboxBackend, tmp_path: Path) -> None:
    if sandbox.no_own:
        pytest.skip(sandbox.no_own)
    seen = set()
    data = tmp_path / "data"
    for _ in range(3):
        async with daemon(data, "sandbox", "own") as process:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                pid = (await process.stdout.readline()).decode().strip()
                await process.stdout.readline()
        carrier = int((data / "host/jobs/worker-1/pasta").read_text().split()[0])
        assert Path(f"/proc/{carrier}").exists()
        seen.add((pid, carrier, os.readlink(f"/proc/{pid}/ns/net")))
    assert len(seen) == 1
    async with open_rig(data, backend="sandbox") as rig, rig.running():
        await rig.state("worker-1", "down")
    async with asyncio.timeout(20):
        while Path(f"/proc/{carrier}").exists() or Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)

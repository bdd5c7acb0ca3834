"""An engine that is killed, stopped, frozen, started again: jobs live on or are started again, each end is known."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.plugins.host.docker import engine_log, engine_watch
from flynn.plugins.host.docker.engine_watch import sweep
from tests.conftest import engine
from tests.docker import Engine, running_docker
from tests.plugins.host.rig import Rig, alive, ask, open_rig
from tests.registry import busybox, image, open_registry

COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"
UNTIL_GO = 'while ! test -e "$CACHE_DIR/go"; do sleep 0.02; done; echo last words; exit 5'

pytestmark = pytest.mark.heavy


@pytest.fixture
def live(dockerd_binary: str) -> Iterator[Engine]:
    """An engine of the test's own that leaves containers running when it ends, as production has it."""
    with running_docker(dockerd_binary, "--live-restore") as found:
        yield found


@pytest.fixture
def plain(dockerd_binary: str) -> Iterator[Engine]:
    """One that ends its containers with itself, as it does by default."""
    with running_docker(dockerd_binary) as found:
        yield found


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is looked at often."""
    monkeypatch.setattr(engine_watch, "LOOK", 0.2)


@asynccontextmanager
async def host(data: Path, its: Engine) -> AsyncIterator[Rig]:
    """A host without its agent, which leaves nothing in the engine."""
    async with open_rig(data / "data", backend="docker") as rig:
        yield rig
    if its.flags:  # It holds on to volumes that it was restarted over, until the next time.
        await asyncio.to_thread(its.stop)
        await asyncio.to_thread(its.start)
        await sweep(data / "data" / "host" / "docker", young=0)
    assert await its.left() == []


async def counted(rig: Rig, id: str, more: int) -> list[int]:
    """The numbers that a counting job has printed, once there are so many more; all, each once."""
    before = len(await rig.printed(id))
    async with asyncio.timeout(20):
        while len(lines := await rig.printed(id)) < before + more:
            await asyncio.sleep(0.02)
    numbers = [int(line) for line in lines]
    assert numbers == list(range(len(numbers)))
    return numbers


async def test_jobs_outlive_a_killed_engine_and_their_ends_are_known(live: Engine, tmp_path: Path) -> None:
    async with host(tmp_path, live) as rig, rig.running() as ctx:
        await rig.assign(rig.web("web-1"), rig.job("worker-1", COUNT))
        await rig.assign(rig.job("run-1", UNTIL_GO, queue="ephemeral", cache="c"))
        web = await rig.state("web-1", "up")
        run = await rig.state("run-1", "up")
        await rig.state("worker-1", "up")
        await counted(rig, "worker-1", 50)
        live.kill()
        async with asyncio.timeout(20):
            while "does not answer" not in ctx.sentence:
                await asyncio.sleep(0.02)
        assert ctx.sentence.startswith("3 of 3 jobs up; ")
        (rig.node.node.data / "host" / "cache" / "c" / "go").touch()
        await counted(rig, "worker-1", 50)
        instance = rig.instance("web-1")
        assert instance is not None
        assert await ask(instance) == "web-1"
        async with asyncio.timeout(20):
            while alive(run.pid):
                await asyncio.sleep(0.02)
        await asyncio.to_thread(live.start)
        down = await rig.state("run-1", "down")
        assert (down.exit_code, down.reason) == (5, "exited with code 5")
        assert await rig.printed("run-1") == ["last words"]
        assert await rig.state("web-1", "up") == web
        await counted(rig, "worker-1", 50)
        await rig.assign(rig.job("run-2", "exit 4", queue="ephemeral"))
        assert (await rig.state("run-2", "down")).exit_code == 4


async def test_a_daemon_that_comes_while_the_engine_is_away_finds_its_jobs(live: Engine, tmp_path: Path) -> None:
    async with host(tmp_path, live) as rig:
        await rig.assign(rig.web("web-1"), rig.job("run-1", UNTIL_GO, queue="ephemeral", cache="c"))
        async with rig.running():
            web = await rig.state("web-1", "up")
            await rig.state("run-1", "up")
        live.kill()
        (rig.node.node.data / "host" / "cache" / "c" / "go").touch()
        async with rig.running():
            before = await rig.node.mirror.until(lambda facts: not facts.hosts["host-a"].images, 20)
            assert await rig.state("web-1", "up") == web
            await asyncio.to_thread(live.start)
            assert (await rig.state("run-1", "down")).exit_code == 5
            assert await rig.state("web-1", "up") == web
            after = await rig.node.mirror.until(lambda facts: facts.hosts["host-a"].images, 20)
            assert after.hosts["host-a"].started == before.hosts["host-a"].started


async def test_a_frozen_engine_makes_no_job_fall(live: Engine, tmp_path: Path) -> None:
    """What runs runs on, what is to stop is stopped, what is to start is started once the engine goes on."""
    async with host(tmp_path, live) as rig, rig.running() as ctx:
        await rig.assign(rig.web("web-1"), rig.job("worker-1", COUNT))
        web = await rig.state("web-1", "up")
        worker = await rig.state("worker-1", "up")
        live.freeze()
        try:
            async with asyncio.timeout(20):
                while "did not answer" not in ctx.sentence:
                    await asyncio.sleep(0.02)
            await counted(rig, "worker-1", 50)
            await rig.assign(rig.job("worker-1", COUNT), stop=True)
            async with asyncio.timeout(20):
                while alive(worker.pid):
                    await asyncio.sleep(0.02)
            await rig.assign(rig.job("run-1", "exit 4", queue="ephemeral"))
            await rig.state("run-1", "starting")
            assert (await rig.state("worker-1", "stopping")).restarts == 0
        finally:
            live.thaw()
        assert (await rig.state("worker-1", "down")).reason == "stopped"
        assert (await rig.state("run-1", "down")).exit_code == 4
        assert await rig.state("web-1", "up") == web
        async with asyncio.timeout(20):
            while "answer" in ctx.sentence:
                await asyncio.sleep(0.02)


async def test_the_log_of_an_image_without_a_shell_has_each_line_once(
    live: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a daemon that starts again and an engine that is killed, wherever a mark was set."""
    monkeypatch.setattr(engine_log, "SAVED", 0.3)
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    async with open_registry() as registry, host(tmp_path, live) as rig:
        name = registry.add("bare:1", image(shell=False, Cmd=["/bin/busybox", "sh", "-c", COUNT]))
        await rig.assign(rig.job("worker-1", "", image=name, layers={}))
        for _ in range(2):
            async with rig.running():
                await counted(rig, "worker-1", 50)
            await asyncio.sleep(0.3)  # It prints while nobody takes it.
        async with rig.running():
            before = await rig.state("worker-1", "up")
            await counted(rig, "worker-1", 50)
            live.kill()
            await asyncio.to_thread(live.start)
            await counted(rig, "worker-1", 100)
            assert await rig.state("worker-1", "up") == before


async def test_what_an_engine_ended_with_itself_is_started_again(plain: Engine, tmp_path: Path) -> None:
    async with host(tmp_path, plain) as rig, rig.running():
        await rig.assign(rig.web("web-1"), rig.job("run-1", "exec sleep 60", queue="ephemeral"))
        before = await rig.state("web-1", "up")
        await rig.state("run-1", "up")
        await asyncio.to_thread(plain.stop)
        await rig.node.mirror.until(lambda facts: "hello-web/web-1" not in facts.services, 20)
        await asyncio.to_thread(plain.start)
        after = await rig.state("web-1", lambda s: s.state == "up" and s.restarts == 1)
        assert after.pid != before.pid
        down = await rig.state("run-1", "down")
        assert down.exit_code in (137, 143)


async def test_what_no_job_stands_behind_is_removed(docker: Engine, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="docker") as rig:
        await rig.assign(rig.job("worker-1", "exec sleep 60"), rig.job("worker-2", "exec sleep 60"))
        async with rig.running():
            await rig.state("worker-1", "up")
            await rig.state("worker-2", "up")
        data = rig.node.node.data / "host"
        (rig.dir("worker-1") / "container").rename(tmp_path / "lost")
        await sweep(data / "docker")
        assert len(await docker.left()) == 4, "both are young, each with its volume"
        await sweep(data / "docker", young=0)
        left = await docker.left()
        assert [name for name in left if name.startswith("flynn-")] == [left[0]]
        assert left[0].startswith("flynn-worker-2-")
    assert await docker.left() == []

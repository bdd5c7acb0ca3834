"""An engine that answers calls as none should: what runs runs on, what ends is known once it answers well."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.plugins.host.docker import engine_log, engine_watch
from tests.conftest import engine
from tests.docker import Engine
from tests.plugins.host.docker.lying_engine import LyingEngine, open_lying
from tests.plugins.host.rig import Rig, open_rig
from tests.registry import busybox, image, open_registry

LIES = {
    "error": (500, b'{"message": "containerd is not there"}'),
    "conflict": (409, b'{"message": "it is being removed"}'),
    "cut": (200, b'{"Id": "0123", "State": {"Run'),
    "empty": (200, b"{}"),
    "none": (200, b"null"),
}

pytestmark = pytest.mark.heavy


@pytest.fixture
async def liar(docker: Engine, tmp_path: Path) -> AsyncIterator[LyingEngine]:
    async with open_lying(docker, tmp_path) as found:
        yield found


@pytest.fixture
async def rig(liar: LyingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A host with its agent, which looks at the engine often."""
    monkeypatch.setattr(engine_watch, "LOOK", 0.2)
    async with open_rig(tmp_path / "data", backend="docker") as rig, rig.running():
        yield rig


async def lied(liar: LyingEngine, more: int) -> None:
    """Wait until it has lied so often again."""
    wanted = liar.told + more
    async with asyncio.timeout(20):
        while liar.told < wanted:
            await asyncio.sleep(0.02)


async def test_the_end_of_a_job_is_known_in_the_end(rig: Rig, liar: LyingEngine) -> None:
    command = 'while ! test -e "$CACHE_DIR/go"; do sleep 0.02; done; echo last words; exit 5'
    for name, lie in LIES.items():
        id = f"run-{name}"
        await rig.assign(rig.job(id, command, queue="ephemeral", cache=name))
        await rig.state(id, "up")
        with liar.lying("GET .*/containers/.*/json", *lie):
            (rig.node.node.data / "host" / "cache" / name / "go").touch()
            await lied(liar, 1)
        down = await rig.state(id, "down")
        assert (name, down.exit_code, down.failure, down.reason) == (name, 5, "crash", "exited with code 5")
        assert await rig.printed(id) == ["last words"]


async def test_nothing_that_runs_is_ended(rig: Rig, liar: LyingEngine) -> None:
    await rig.assign(rig.web("web-1"))
    before = await rig.state("web-1", "up")
    for name, lie in LIES.items():
        id = f"run-{name}"
        with liar.lying(".*", *lie):
            await lied(liar, 2)
            await rig.assign(rig.job(id, "exit 4", queue="ephemeral"))
            refused = await rig.state(id, "down")
            assert (name, refused.failure, refused.exit_code) == (name, "start", None)
            assert "the container could not be started" in refused.reason
    await rig.assign(rig.job("run-1", "exit 4", queue="ephemeral"))
    assert (await rig.state("run-1", "down")).exit_code == 4
    assert await rig.state("web-1", "up") == before


async def test_a_log_that_the_engine_refuses_is_asked_for_again(
    liar: LyingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_log, "AGAIN", 0.1)
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    command = ["/bin/busybox", "sh", "-c", "echo first; sleep 1; echo second; sleep 60"]
    async with open_registry() as registry, open_rig(tmp_path / "data", backend="docker") as rig, rig.running():
        name = registry.add("bare:1", image(shell=False, Cmd=command))
        with liar.lying("GET .*/logs", *LIES["error"]):
            await rig.assign(rig.job("worker-1", "", image=name, layers={}))
            await lied(liar, 2)
        await rig.until_printed("worker-1", "first", "second")

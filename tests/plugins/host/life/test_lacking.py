"""A daemon that has no open files left: no job suffers for it, and all are looked after again once it has."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flynn.core.model import Check
from flynn.plugins.host.backends.backend import Backend
from tests.plugins.host.rig import HOST, Rig, open_rig


@pytest.fixture
async def rig(light_backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        yield rig


@contextlib.contextmanager
def no_files() -> Iterator[None]:
    """For the length of a block this process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for file in taken:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_job_that_cannot_be_written_down_for_want_of_files_begins_later(rig: Rig) -> None:
    """Before the host has seen that there are none."""
    job = rig.job("run-1", "exit 3", queue="ephemeral")
    with no_files():
        await rig.assign(job)
        await asyncio.sleep(0.2)
    assert (await rig.state("run-1", "down")).exit_code == 3


async def test_however_many_there_are_they_are_looked_at_again_at_once(rig: Rig) -> None:
    ids = [f"run-{number}" for number in range(6)]
    with no_files():
        before = asyncio.all_tasks()
        await rig.assign(*(rig.job(id, "exit 3", queue="ephemeral") for id in ids))
        await asyncio.sleep(0.2)
        waiting = [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]
        assert waiting == ["look again at what could not be begun"]
    for id in ids:
        assert (await rig.state(id, "down")).exit_code == 3


async def test_no_job_suffers(rig: Rig) -> None:
    ids = ("web-tcp", "web-command")
    await rig.assign(
        rig.web("web-tcp", check=Check(interval=0.1)),
        rig.web("web-command", check=Check(kind="command", command="true", interval=0.1)),
    )
    before = [await rig.state(id, "up") for id in ids]
    with no_files():
        full = await rig.node.mirror.until(lambda f: bool(f.hosts[HOST].full), 20)
        assert full.hosts[HOST].full.startswith("its daemon has nearly all files open that it may (25")
        await rig.assign(rig.job("run-1", "exit 3", queue="ephemeral"))
        await asyncio.sleep(0.2)
        assert f"{HOST}/run-1" not in rig.node.mirror.facts.states
    await rig.node.mirror.until(lambda f: not f.hosts[HOST].full, 20)
    assert (await rig.state("run-1", "down")).exit_code == 3
    after = [await rig.state(id, "up") for id in ids]
    assert [(s.pid, s.since, s.restarts) for s in after] == [(s.pid, s.since, s.restarts) for s in before]
    async with asyncio.timeout(10):
        while not all(rig.instance(id) for id in ids):  # Two checks in a row may have failed for want of files.
            await asyncio.sleep(0.01)
    for id, up in zip(ids, before, strict=True):
        os.kill(up.pid, signal.SIGKILL)
        again = await rig.state(id, lambda s: s.restarts == 1 and s.state == "up")
        assert again.pid != up.pid

"""A daemon that has no open files or no processes left: no job suffers for it, and all are looked after again once it
has."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flynn.core.model import Check
from flynn.core.threads import workers
from flynn.plugins.host.backends.backend import Backend, Limits
from flynn.plugins.host.limits.cgroup import fresh, remove
from flynn.plugins.host.limits.cgroup1 import Group1
from flynn.plugins.host.limits.cgroup_mounts import find, mounts, paths
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


@contextlib.contextmanager
def no_processes(dir: Path) -> Iterator[None]:
    """For the length of a block this process can begin no other, nor a thread: its group may have no more."""
    hierarchy = find(dir)
    if hierarchy is None or "pids" in hierarchy.lacks:
        pytest.skip("processes cannot be limited here: this user can make no control groups for it")
    group = fresh(hierarchy, "full", Limits())
    place = group.by["pids"] if isinstance(group, Group1) else group.dirs[0]
    before = _own_group("pids" if isinstance(group, Group1) else "")
    group.close()
    (place / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (before / "cgroup.procs").write_text(str(os.getpid()))
        assert remove(group)


def _own_group(controller: str) -> Path:
    own = paths(Path("/proc/self/cgroup").read_text())[controller]
    for mount in mounts(Path("/proc/self/mountinfo").read_text()):
        if controller in (mount.controllers or ("",)):
            return mount.point / own.removeprefix(mount.root).lstrip("/")
    raise AssertionError(f"{own} is nowhere to be seen")


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


async def test_no_job_suffers_for_want_of_processes(
    light_backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two begin meanwhile: what a backend keeps ready for the next one needs no other process."""
    asyncio.get_running_loop().set_default_executor(workers())
    checked = {"web-tcp": Check(interval=0.1), "web-command": Check(kind="command", command="true", interval=0.1)}
    runs = ("run-1", "run-2")
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        await rig.assign(*(rig.web(id, check=check) for id, check in checked.items()))
        before = [await rig.state(id, "up") for id in checked]
        with no_processes(tmp_path / "other"):
            with pytest.raises(BlockingIOError):
                os.fork()
            await rig.assign(*(rig.job(id, "exit 3", queue="ephemeral") for id in runs))
            async with asyncio.timeout(20):
                while "is not looked after for now: Resource temporarily unavailable" not in caplog.text:
                    await asyncio.sleep(0.01)
            await rig.printed("web-tcp")
        assert [(await rig.state(id, "down")).exit_code for id in runs] == [3, 3]
        after = [await rig.state(id, "up") for id in checked]
        assert [(s.pid, s.since, s.restarts) for s in after] == [(s.pid, s.since, s.restarts) for s in before]

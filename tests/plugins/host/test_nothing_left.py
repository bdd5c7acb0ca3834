"""A machine is after a job what it was before: no process, mount, control group, network, socket or port is left."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flynn.core.model import Job
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.limits.cgroup_mounts import find
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from tests.plugins.host.rig import SERVE, Rig, ask, open_rig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FORKS = "sleep 600 & setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &); "


@pytest.fixture
async def rig(backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data", backend=backend.name) as rig:
        yield rig


def machine(rig: Rig) -> dict[str, Any]:
    """What there is of the node's jobs on its machine, apart from the records of those that have ended."""
    data = str(rig.node.node.data)
    found = find(rig.node.node.data / "host")
    return {
        "processes": sorted(pid for pid in psutil.pids() if pid != os.getpid() and _is_of(pid, data.encode())),
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if data in line],
        "groups": [name for name in found.present() if not name.startswith("ready")] if found else [],
        "sockets": [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if data in line],
        "jobs": sorted(str(p.relative_to(rig.dir(""))) for p in rig.dir("").rglob("*")) if rig.dir("").exists() else [],
    }


def _is_of(pid: int, data: bytes) -> bool:
    """Whether a process is of a job of these data, or stands around one."""
    try:
        proc = Path(f"/proc/{pid}")
        told = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        return data in told and b"State:\tZ" not in (proc / "status").read_bytes()
    except OSError:
        return False


async def _lived(rig: Rig, job: Job) -> None:
    """All is as before once it has been up and was stopped, by a daemon other than the one that began it."""
    async with rig.running():
        pass
    empty = {**machine(rig), "processes": []}
    await until(rig, empty)
    await rig.assign(job)
    async with rig.running():
        await rig.state(job.id, "up")
        instance = rig.instance(job.id)
        assert instance
        if job.network != "own":
            assert await ask(instance) == job.id
        async with asyncio.timeout(10):
            while len(machine(rig)["processes"]) < 6:
                await asyncio.sleep(0.02)
    await rig.assign(job, stop=True)
    async with rig.running():
        await rig.state(job.id, "down")
        async with asyncio.timeout(10):
            while rig.dir(job.id).is_dir() and len(list(rig.dir(job.id).iterdir())) > 1:
                await asyncio.sleep(0.02)
    await until(rig, {**empty, "jobs": [job.id, f"{job.id}/job.json"]})


async def until(rig: Rig, wanted: dict[str, Any]) -> None:
    """Whom the kernel has killed is there until it comes to run once more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while machine(rig) != wanted:
                await asyncio.sleep(0.02)
    assert machine(rig) == wanted


async def test_a_job_that_has_forked_leaves_nothing(rig: Rig) -> None:
    await _lived(
        rig, rig.web("web-1", FORKS + SERVE, memory_limit=128, stop_timeout=1, env={"OF": str(rig.node.node.data)})
    )


async def test_one_with_a_network_of_its_own_leaves_nothing(sandbox: SandboxBackend, tmp_path: Path) -> None:
    if sandbox.no_own:
        pytest.skip(sandbox.no_own)
    async with open_rig(tmp_path / "data", backend="sandbox") as rig:
        await _lived(
            rig, rig.web("web-1", FORKS + SERVE, network="own", stop_timeout=1, env={"OF": str(tmp_path / "data")})
        )

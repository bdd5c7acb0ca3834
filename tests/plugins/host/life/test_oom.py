"""A job that is over its limit of memory: its log says so, and its state says why it ended."""

import asyncio
from pathlib import Path

import pytest

from flynn.plugins.host.life import oom
from flynn.plugins.host.limits.cgroup import put
from flynn.plugins.host.limits.cgroup1 import Hierarchy1
from flynn.plugins.host.limits.cgroup2 import Hierarchy2
from flynn.plugins.host.limits.cgroup_mounts import find
from tests.plugins.host.rig import open_rig

EAT = "a = []\nwhile True: a.append(b'x' * 1048576)\n"
WORKERS = """
import os, time
if os.fork() == 0:
    a = []
    while True: a.append(b'x' * 1048576)
os.wait()
print("lost a worker", flush=True)
time.sleep(60)
"""
BACKENDS = ("sandbox", "process", "docker")


def test_words() -> None:
    assert oom.killed(512, 1) == "out of memory: limit 512 MiB; 1 process of it was killed"
    assert oom.killed(0, 1) == "out of memory: its host has none left; 1 process of it was killed"
    assert oom.killed(512, 3) == "out of memory: limit 512 MiB; 3 processes of it were killed"
    assert oom.explained("exited with code 1", 64, 2.0) == "out of memory: limit 64 MiB; exited with code 1"
    assert oom.explained("exited with code 1", 0, 2.0) == "out of memory: its host has none left; exited with code 1"
    assert oom.explained("exited with code 1", 64, 61.0) == "exited with code 1"
    assert oom.explained("exited with code 1", 64, -1.0) == "exited with code 1"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_job_that_eats_too_much(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "docker":
        request.getfixturevalue("docker")
    elif find(tmp_path) is None:
        pytest.skip("memory cannot be limited here: this user can make no control groups")
    monkeypatch.setattr(oom, "INTERVAL", 0.1)
    async with open_rig(tmp_path, backend=backend) as rig, rig.running():
        fields = {"queue": "ephemeral", "memory": 16, "memory_limit": 48}
        eats = rig.job("hello-eats", "exec python3 -SE a.py", files={"a.py": EAT}, **fields)
        loses = rig.job("hello-loses", "exec python3 -SE a.py", files={"a.py": WORKERS}, **fields)
        await rig.assign(eats, loses)
        down = await rig.state("hello-eats", "down")
        assert down.reason == "out of memory: limit 48 MiB; killed by signal 9 (SIGKILL)"
        assert (down.exit_code, down.failure) == (137, "crash")
        told = "out of memory: limit 48 MiB; 1 process of it was killed"
        assert told in await rig.printed("hello-eats", "flynn")
        await rig.until_told("hello-loses", told)
        assert (await rig.state("hello-loses", "up")).reason == ""
        assert (await rig.usage(app="hello")).jobs["hello-loses"].killed == 1
        async with asyncio.timeout(20):
            while await rig.printed("hello-loses") != ["lost a worker"]:
                await asyncio.sleep(0.05)


async def test_a_job_that_its_host_has_no_memory_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group of all jobs stands for the host: what is killed for its limit was within its own."""
    monkeypatch.setattr(oom, "INTERVAL", 0.1)
    async with open_rig(tmp_path, backend="process") as rig, rig.running():
        hierarchy = find(rig.node.node.data / "host")
        if hierarchy is None or "memory" in hierarchy.lacks:
            pytest.skip("memory cannot be limited here: this user can make no control groups for it")
        await rig.assign(rig.job("hello-rests", "exec sleep 600"))
        await rig.state("hello-rests", "up")
        if isinstance(hierarchy, Hierarchy1):
            put(hierarchy.tops["memory"] / "memory.limit_in_bytes", str(48 << 20))
        elif isinstance(hierarchy, Hierarchy2):
            put(hierarchy.top / "memory.max", str(48 << 20))
        fields = {"queue": "ephemeral", "memory": 16, "memory_limit": 512}
        loses = rig.job("hello-loses", "exec python3 -SE a.py", files={"a.py": WORKERS}, **fields)
        eats = rig.job("hello-eats", "exec python3 -SE a.py", files={"a.py": EAT}, **fields)
        await rig.assign(loses)
        await rig.until_told("hello-loses", "out of memory: its host has none left; 1 process of it was killed")
        await rig.assign(eats)
        down = await rig.state("hello-eats", "down")
        assert down.reason == "out of memory: its host has none left; killed by signal 9 (SIGKILL)"
        assert (await rig.usage(app="hello")).jobs["hello-loses"].killed >= 1

"""Real jobs that burn, hold and open things: what their host tells of them, and of itself."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from flynn.core.model import Load
from flynn.plugins.host.docker.container_stats import told_by_engine
from flynn.plugins.host.docker.made import load
from flynn.plugins.host.limits.cgroup_mounts import find
from flynn.plugins.host.usage import meter, remote
from flynn.plugins.host.usage.beat import Beat
from flynn.plugins.host.usage.machine import see
from flynn.plugins.host.usage.meter import read
from flynn.plugins.host.usage.reading import Reading, Seat
from tests.core.test_metrics import samples
from tests.harness import open_node
from tests.plugins.host.rig import LIMIT, Rig, open_rig

MIB = 1024 * 1024

BUSY = """
import os
held = bytearray(b"x") * (50 << 20)
files = [open("/dev/null") for _ in range(40)]
pid = os.fork()
print("ready", flush=True)
while True: pass
"""
"""Two processes, which share what they hold and burn all they get."""

BACKENDS = ("docker", "process", "sandbox")


async def started(rig: Rig, *jobs: str) -> None:
    for id in jobs:
        await rig.state(id, "up")
    async with asyncio.timeout(LIMIT):
        while "ready" not in await rig.printed(jobs[0]):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_what_a_job_takes(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "FRESH", 0.0)
    if backend == "docker":
        request.getfixturevalue("docker")
    async with open_rig(tmp_path, backend=backend) as rig, rig.running():
        told = {"memory": 16, "memory_limit": 256}
        busy = rig.job("hello-busy-1", "exec python3 -SE a.py", files={"a.py": BUSY}, **told)
        idle = rig.job("other-idle-1", "sleep 600", app="other", **told)
        await rig.assign(busy, idle)
        await started(rig, "hello-busy-1", "other-idle-1")
        first = (await rig.usage(app="hello")).jobs
        assert list(first) == ["hello-busy-1"]
        job = first["hello-busy-1"]
        assert job.percent is not None
        assert 5 < job.percent < 100 * (os.cpu_count() or 1) + 10
        assert job.memory is not None
        assert 50 * MIB < job.memory < 150 * MIB
        assert job.files is not None
        assert job.files >= 80
        assert job.processes is not None
        assert job.processes >= 2
        assert None not in (job.read, job.written)
        assert job.limit == (256 * MIB if backend == "docker" or find(tmp_path) else 0)
        async with asyncio.timeout(LIMIT):
            while ((both := (await rig.usage(app="")).jobs)["hello-busy-1"].cpu or 0) <= (job.cpu or 0):
                pass
        assert set(both) == {"hello-busy-1", "other-idle-1"}
        assert both["other-idle-1"].percent is not None
        assert both["other-idle-1"].percent < 5
        found = samples(await scraped(rig))
        labels = " app=other job=other-idle-1 type=worker"
        assert 0 < found[f"flynn_job_memory_bytes{labels}"] < 20 * MIB
        assert found["flynn_host_jobs state=up"] == 2
        if backend == "docker":
            made = load(rig.dir("hello-busy-1"))
            assert made
            before = both["hello-busy-1"].cpu or 0
            async with asyncio.timeout(LIMIT):
                while ((engine := await told_by_engine(made.id)).cpu or 0) <= before:
                    pass
            assert engine.limited
            assert engine.memory is not None
            assert abs(engine.memory - job.memory) < 10 * MIB


async def scraped(rig: Rig) -> str:
    async with rig.node.http.get(f"{rig.node.url}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def test_an_engine_that_does_not_know_it(docker: object) -> None:
    assert (await told_by_engine("flynn-nothing")).cpu is None


async def test_numbers_go_on_with_the_next_daemon_and_begin_anew_with_the_next_process(tmp_path: Path) -> None:
    once = 'test -e "$CACHE_DIR/ran" && exec sleep 600; touch "$CACHE_DIR/ran"; exec python3 -SE a.py'
    async with open_rig(tmp_path, backend="sandbox") as rig:
        await rig.assign(rig.job("hello-busy-1", once, files={"a.py": BUSY}, cache="c"))
        async with rig.running():
            await started(rig, "hello-busy-1")
            before = (await rig.usage(app="hello")).jobs["hello-busy-1"]
        async with rig.running():
            up = await rig.state("hello-busy-1", "up")
            after = (await rig.usage(app="hello")).jobs["hello-busy-1"]
            assert (after.cpu or 0) > (before.cpu or 0) > 0
            os.kill(up.pid, 9)
            await rig.state("hello-busy-1", lambda state: state.state == "up" and state.restarts == 1)
            anew = (await rig.usage(app="hello")).jobs["hello-busy-1"]
            assert (anew.cpu or 0) < (after.cpu or 0)


async def test_of_jobs_that_do_not_run_nothing_is_told(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend="process") as rig, rig.running():
        await rig.assign(rig.job("hello-run-1", "true", queue="ephemeral"))
        await rig.state("hello-run-1", "down")
        assert (await rig.usage(app="hello")).jobs == {}


def test_a_tree_of_processes_without_a_group() -> None:
    hold = "import time; x = bytearray(b'x') * (30 << 20); print(1, flush=True); time.sleep(60)"
    script = f'{sys.executable} -SEc "$1" & wait'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", hold], stdout=subprocess.PIPE, start_new_session=True
    ) as shell:
        assert shell.stdout
        assert shell.stdout.readline() == b"1\n"
        found = read({"a": Seat(root=shell.pid), "b": Seat(root=1 << 30), "c": Seat()})
        os.killpg(shell.pid, 9)
    assert found["a"].processes == 2
    assert found["a"].memory is not None
    assert found["a"].memory > 30 * MIB
    assert not found["a"].limited
    assert found["b"].cpu is None
    assert "c" not in found


async def test_the_machine(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend="process") as rig, rig.running():
        host = (await rig.usage()).host
        assert host.cpus == os.cpu_count()
        assert host.percent is not None
        assert 0 <= host.percent <= 100
        assert 0 < host.memory_free < host.memory
        assert 0 < host.disk_free <= host.disk
        assert (host.pressure is not None) == Path("/proc/pressure/cpu").exists()
        record = rig.node.mirror.facts.hosts["host-a"]
        assert record.load
        assert record.load.disk == host.disk // MIB
        async with rig.node.http.get(f"{rig.node.url}/v1/hosts/host-b/usage") as response:
            assert (response.status, (await response.json())["code"]) == (404, "not_found")


async def test_the_grid_is_told_of_what_changed_alone(tmp_path: Path) -> None:
    told: list[Load | None] = []
    async with open_node(tmp_path) as node:

        async def tell() -> None:
            told.append(beat.load)

        beat = Beat(node.context("host"), tell)
        await beat.begin()
        assert beat.load
        now = beat.load
        beat.load = Load(load=now.load + 100, memory_free=1, disk_free=1, disk=now.disk)
        await beat.look()
        assert len(told) == 1
        assert told[0]
        assert told[0].disk == see(tmp_path).disk // MIB
        assert told[0].load < 100
        (tmp_path / "host").rmdir()
        await beat.look()
        assert len(told) == 1


async def test_whoever_is_too_slow_to_tell_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LIMIT", 0.2)
    told, cancelled = Reading(cpu=1.0), []

    async def tell() -> Reading:
        return told

    async def never() -> Reading:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(1)
        return told

    async with asyncio.timeout(LIMIT):
        found = await remote.ask({"a": Seat(ask=tell), "b": Seat(ask=never), "c": Seat(root=1), "d": Seat(ask=tell)})
    assert found == {"a": told, "b": Reading(), "d": told}
    assert cancelled == [1]


async def test_many_who_ask_at_once_cost_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[int] = []

    def counted(seats: Mapping[str, Seat]) -> dict[str, Reading]:
        readings.append(len(seats))
        return read(seats)

    monkeypatch.setattr(meter, "read", counted)
    monkeypatch.setattr(meter, "FRESH", 60.0)
    async with open_rig(tmp_path, backend="process") as rig, rig.running():
        await rig.assign(rig.job("hello-a-1", "sleep 600"), rig.job("other-b-1", "sleep 600", app="other"))
        await rig.state("hello-a-1", "up")
        await rig.state("other-b-1", "up")
        told = await asyncio.gather(*(rig.usage(app="hello") for _ in range(20)))
        assert {tuple(one.jobs) for one in told} == {("hello-a-1",)}
        assert readings == [1, 1]  # Twice, for its pace.
        await asyncio.gather(*(scraped(rig) for _ in range(20)))
        assert readings == [1, 1, 1]  # The other one.
        up = await rig.state("hello-a-1", "up")
        os.kill(up.pid, 9)
        await rig.state("hello-a-1", lambda state: state.state == "up" and state.restarts == 1)
        await rig.usage(app="hello")
        assert readings[3:] == [1, 1]

"""S6: what the leader of a large grid takes while nothing happens there but that the hosts live."""

import asyncio
import itertools
import time
from pathlib import Path

from msgspec.structs import replace

from bench.common import machine
from bench.common.figures import Figure
from bench.common.run import Run
from bench.scheduler.grid import TYPE, Grid, app, host, hosts, job, leading, merged, open_grid
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.lease import TTL
from flynn.core.model import Assignment, JobState, Load, Record
from flynn.core.store import Put

HOSTS, JOBS, APPS = 1_000, 10_000, 100
BEAT = 15.0
"""Seconds between two loads that a host tells."""

BRICKS = "discovery,shelf,builder,controller"
SETTLE, SECONDS = 10.0, 30.0


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with open_grid(work, merged([hosts(HOSTS), *map(_app, range(APPS))]), BRICKS) as grid:
        beating = asyncio.create_task(_beat(grid))
        try:
            async with leading(grid) as process:
                await asyncio.sleep(SETTLE)
                before, begun = machine.cpu_ns([process.popen.pid]), time.perf_counter()
                await asyncio.sleep(SECONDS)
                spent, taken = machine.cpu_ns([process.popen.pid]) - before, time.perf_counter() - begun
                memory = machine.resident([process.popen.pid]) / 1024 / 1024
                process.check()
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
    what = f"the leader of {HOSTS} hosts and {JOBS} jobs at rest"
    return [
        Figure("S6a", memory, "<=", 300, f"resident, {what}", "MiB"),
        Figure("S6b", spent / taken / 1e7, "<=", 5, f"of a core, {what}", "%"),
    ]


def _app(number: int) -> dict[str, Record]:
    """An app, with all its jobs up."""
    name, each = f"app-{number}", JOBS // APPS
    facts = dict(app(name, each))
    for n in range(each):
        made, place = job(name, n, "services"), f"host-{(number * each + n) % HOSTS}"
        facts[keys.job(place, made.id)] = Assignment(job=made, host=place, assigned=1.0)
        facts[keys.state(place, made.id)] = JobState(
            id=made.id, app=name, type=TYPE, queue="services", release=1, host=place, state="up", since=1.0,
            created=1.0, pid=1000,
        )  # fmt: skip
    return facts


async def _beat(grid: Grid) -> None:
    """All hosts: a lease of each, renewed; its load, told."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_renew(grid))
        tasks.create_task(_tell(grid))


async def _renew(grid: Grid) -> None:
    leases = [await grid.store.grant(TTL * 100) for _ in range(HOSTS)]
    for lease in itertools.cycle(leases):
        await asyncio.gather(grid.store.renew(lease), asyncio.sleep(TTL / 4 / HOSTS))


async def _tell(grid: Grid) -> None:
    for number in itertools.count():
        told = host(number % HOSTS)
        load = Load(load=number % 40 / 10, memory_free=4096 + number % 1000, disk_free=90_000, disk=200_000)
        commit = grid.store.commit([Put(keys.host(told.name), encode(replace(told, load=load)))])
        await asyncio.gather(commit, asyncio.sleep(BEAT / HOSTS))

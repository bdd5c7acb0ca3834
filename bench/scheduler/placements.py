"""S1: placements a second, each committed durably."""

import asyncio
import time
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.processes import expecting
from bench.common.run import Run
from bench.scheduler.ceiling import ceiling
from bench.scheduler.grid import Grid, app, hosts, job, leading, merged, open_grid
from flynn.core import keys
from flynn.core.model import Queued, Record

HOSTS, JOBS, APPS = 5_000, 50_000, 50

LIMIT = 180.0
"""Seconds within which all must be placed."""

LOOK = 0.1
"""Seconds between two counts, for which etcd goes through all that is queued; they make the time longer if anything."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    best, most = 0.0, 0.0
    rows = []
    for number in range(max(run.rounds // 2, 1)):
        round_work = work / str(number)
        round_work.mkdir()
        async with open_grid(round_work, merged([hosts(HOSTS), *_apps()])) as grid:
            blind = await ceiling(grid.store, HOSTS, JOBS)
            rate, spent = await _rate(grid)
        rows.append([f"{number + 1}", f"{rate:.0f}", f"{blind:.0f}", f"{rate / blind:.2f}", f"{spent:.0f}"])
        best, most = max(best, rate), max(most, rate / blind)
    run.show(["round", "placements/s", "etcd's ceiling", "share", "µs of CPU in the daemon for each"], rows)
    return [
        Figure("S1a", best, ">=", 5_000, f"placements a second, {HOSTS} hosts, {JOBS} jobs"),
        Figure("S1b", most, ">=", 0.25, "the same : what etcd takes of a client that decides nothing"),
    ]


def _apps() -> list[dict[str, Record]]:
    """All jobs, each in the queue of its app."""
    found = []
    for number in range(APPS):
        name = f"app-{number}"
        jobs = [job(name, n, "services") for n in range(JOBS // APPS)]
        found.append({**app(name, len(jobs)), **{keys.queued("services", each.id): Queued(job=each) for each in jobs}})
    return found


async def _rate(grid: Grid) -> tuple[float, float]:
    """Start the leader and count, until no job is queued: placements a second, microseconds of CPU for each."""
    looking = asyncio.create_task(_empties(grid))
    try:
        async with leading(grid) as process:
            begun = process.cpu_ns()
            with expecting(f"{JOBS} jobs are placed", LIMIT):
                taken = await asyncio.wait_for(looking, LIMIT)
            spent = process.cpu_ns() - begun
    finally:
        looking.cancel()
    await _check(grid)
    return JOBS / taken, spent / JOBS / 1000


async def _empties(grid: Grid) -> float:
    """Seconds from the last moment at which all jobs were queued to the first at which none is."""
    begun = time.perf_counter()
    while True:
        now = time.perf_counter()
        left = await grid.count("queues/")
        if left == JOBS:
            begun = now
        elif not left:
            return time.perf_counter() - begun
        await asyncio.sleep(LOOK)


async def _check(grid: Grid) -> None:
    """NotMeasured: a job is lost, or assigned twice."""
    assigned = [item.key.rpartition("/")[2] for item in (await grid.store.range("jobs/")).items]
    if len(assigned) != JOBS or len(set(assigned)) != JOBS:
        raise NotMeasured(f"{len(assigned)} assignments of {len(set(assigned))} jobs where {JOBS} were queued")

"""S5: how long it takes to decide where the thousand processes of an app that had none shall run."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.common.figures import Figure
from bench.common.processes import expecting
from bench.common.run import Run
from bench.scheduler.grid import TYPE, Grid, app, hosts, leading, merged, open_grid
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Formation
from flynn.core.store import COMMIT_LIMIT, Batch, Delete, Put

HOSTS, COUNT = 1_000, 1_000
APP = "hello"
LIMIT = 60.0


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with open_grid(work, merged([hosts(HOSTS), app(APP)])) as grid, leading(grid):
        await asyncio.sleep(1)
        taken = [await _scaled(grid) for _ in range(max(run.rounds, 3))]
    told = [f"{1000 * seconds:.0f}" for seconds in taken]
    run.show(["scale 0 to 1 000, one after the other", "ms"], [["", ", ".join(told)]])
    what = f"from the scale to the last of {COUNT} assignments, {HOSTS} hosts"
    return [Figure("S5", 1000 * statistics.median(taken), "<=", 100, what, "ms")]


async def _scaled(grid: Grid) -> float:
    """Scale up, then down again, and let the hosts forget what they had."""
    before = (await grid.store.range("formations/")).revision
    async with grid.store.watch("jobs/", before) as batches:
        begun = time.perf_counter()
        await _scale(grid, COUNT)
        with expecting(f"{COUNT} jobs are assigned", LIMIT):
            async with asyncio.timeout(LIMIT):
                await _assigned(batches, COUNT)
        taken = time.perf_counter() - begun
        await _scale(grid, 0)
        with expecting(f"{COUNT} jobs are told to stop", LIMIT):
            async with asyncio.timeout(LIMIT):
                found = await _assigned(batches, COUNT)
    for at in range(0, len(found), COMMIT_LIMIT):
        await grid.store.commit([Delete(key) for key in found[at : at + COMMIT_LIMIT]])
    await asyncio.sleep(0.5)
    return taken


async def _scale(grid: Grid, count: int) -> None:
    await grid.store.commit([Put(keys.formation(APP), encode(Formation(app=APP, counts={TYPE: count})))])


async def _assigned(batches: AsyncIterator[Batch], count: int) -> list[str]:
    """Wait for so many writes of assignments: their keys."""
    found: list[str] = []
    async for batch in batches:
        found += [item.key for item in batch.puts]
        if len(found) >= count:
            break
    return found

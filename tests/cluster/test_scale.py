"""Scales that follow each other faster than processes come and go, with a real daemon."""

import asyncio
from pathlib import Path

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid

MANY = 50


async def test_the_last_of_many_scales_counts_and_nothing_is_left(tmp_path: Path) -> None:
    """FAULTS.md: 0 to 50 to 0 to 50 within a second, then to 0: as many as were asked for last, none doubled, no
    process left."""
    source = apps.make(tmp_path / "hello", Procfile="worker: exec sleep 1000\n")
    async with open_grid("--set", "host.backend=sandbox") as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(source), "-a", "hello")
        await grid.ok("scale", "worker=0", "-a", "hello")
        for count in (MANY, 0, MANY):
            await grid.ok("scale", "--no-wait", f"worker={count}", "-a", "hello")
        await until(grid, MANY)
        assert len({job["id"] for job in await grid.jobs("hello", "up")}) == MANY
        assert sleepers(grid) == MANY
        await grid.ok("scale", "worker=0", "-a", "hello")
        await until(grid, 0)


async def until(grid: Grid, count: int) -> None:
    """Wait until so many jobs are up, no other is under way, and so many processes run."""
    async with asyncio.timeout(120):
        while True:
            jobs = await grid.jobs("hello")
            if len(jobs) == count == sleepers(grid) and all(job["state"] == "up" for job in jobs):
                return
            await asyncio.sleep(0.2)


def sleepers(grid: Grid) -> int:
    return sum(words[:1] == ["sleep"] for words in grid.commands())

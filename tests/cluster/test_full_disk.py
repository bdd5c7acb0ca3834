"""A node whose whole disk fills up: it serves on, says why nothing new starts, and comes back by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, Load
from tests.small import MIB, fill, mounted_disk

FULL = "takes no new job: its disk is nearly full ("


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    """A grid with an app that serves, on a disk of its own."""
    with mounted_disk(tmp_path / "data", 192) as disk:
        grid = Grid(disk, ["--set", "host.disk_reserve=16", "--set", "shelf.reserve=1"])
        try:
            await grid.start()
            await grid.ok("create", "hello")
            await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
            yield grid
        finally:
            await grid.clean()


async def fill_until_told(grid: Grid) -> None:
    """What is not needed goes first; then the host says that its disk is nearly full."""

    async def told() -> bool:
        fill(grid.data, 4 * MIB)
        return FULL in (await grid.ok("host")).out

    await grid.until(told, 20, "the host says that its disk is nearly full")


async def waits(grid: Grid, *jobs: str) -> None:
    """All of these are in a queue, and why."""

    async def told() -> bool:
        lines = (await grid.ok("queue")).out.splitlines()
        return all(any(job in line and FULL in line for line in lines) for job in jobs)

    await grid.until(told, 20, f"{jobs} wait for room")


async def test_a_full_disk_is_told_and_got_over(grid: Grid, tmp_path: Path) -> None:
    load = Load(grid, "hello", clients=2)
    async with load.running():
        await fill_until_told(grid)
        scaling = asyncio.create_task(grid.flynn("scale", "web=2", "-a", "hello"))
        deploying = asyncio.create_task(grid.flynn("deploy", str(apps.server(tmp_path / "new")), "-a", "hello"))
        await waits(grid, "hello-web-", "hello-build-")
        ballast = fill(grid.data)
        said = await grid.flynn("env", "set", "GREETING=bye", "-a", "hello")
        assert said.code == 1
        assert "make room on the disk" in said.err
        assert "no new job starts: its disk is nearly full" in (await grid.ok("status")).out
    assert load.failures == []
    assert load.count > 10
    (job,) = await grid.jobs("hello", "up")
    for task in (scaling, deploying):
        task.cancel()
    await grid.kill()
    fill(grid.data)
    await grid.start()
    assert [one["id"] for one in await grid.jobs("hello", "up")] == [job["id"]]
    assert (await grid.get("hello"))[0] == 200
    ballast.unlink()

    async def all_up() -> bool:
        return [one["release"] for one in await grid.jobs("hello", "up")] == [2, 2]

    await grid.until(all_up, 40, "what waited has started by itself")

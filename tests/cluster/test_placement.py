"""Where jobs go, and why, through the command line and a whole daemon on a machine that is soon full."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY = 2648
"""MiB: room for a build, or for a worker and four one-off jobs, with 472 left."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grid]:
    """One grid for all of these, with a worker of the app `hello`."""
    source = apps.make(tmp_path_factory.mktemp("hello"), Procfile="worker: echo ready; exec sleep 600\n")
    settings = ("host.backend=process", f"host.memory={MEMORY}", "host.tags=zone=here,disk=hdd")
    async with open_grid(*(word for told in settings for word in ("--set", told))) as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(source), "-a", "hello")
        await grid.ok("scale", "worker=1", "-a", "hello")
        await grid.ok("limit", "set", "run", "reserve=512M", "memory=512M", "-a", "hello")
        yield grid


async def _states(grid: Grid) -> dict[str, str]:
    """The reason of each one-off job that has ended, "" of those that run."""
    jobs = (await grid.ok("ps", "--all", "--json", "-a", "hello")).json
    return {job["id"]: job.get("reason", "") if job["state"] == "down" else "" for job in jobs if job["type"] == "run"}


async def test_a_batch_job_makes_way_for_a_service(grid: Grid) -> None:
    ids = [(await grid.ok("run", "-d", "-a", "hello", "sleep 600")).out.strip() for _ in range(4)]
    await grid.until(lambda: _up(grid, 5), 60, "the machine is full")
    told = (await grid.ok("explain", "-a", "hello")).out
    assert "128 MiB asked" not in told, "one more would fit now"
    await grid.ok("limit", "set", "worker", "reserve=500M", "memory=500M", "-a", "hello")
    reasons = {id: reason for id, reason in (await _states(grid)).items() if reason}
    assert list(reasons) == ids[-1:], "the newest, and no other"
    (worker,) = [job for job in await grid.jobs("hello", "up") if job["type"] == "worker"]
    assert reasons[ids[-1]] == f"made way for {worker['id']}"
    for id in ids[:-1]:
        await grid.ok("kill", id)


async def _up(grid: Grid, count: int) -> bool:
    return len(await grid.jobs("hello", "up")) == count


async def test_explain_says_what_a_host_lacks_and_a_tag_mends_it(grid: Grid) -> None:
    await grid.ok("scale", "worker=2", "--tag", "disk=ssd", "--no-wait", "-a", "hello")
    (name,) = [host["name"] for host in (await grid.ok("host", "--json")).json]

    async def told() -> bool:
        return f"{name}:  is not tagged disk=ssd" in (await grid.ok("explain", "-a", "hello")).out

    await grid.until(told, 30, "explain says why the worker waits")
    assert "on hosts with disk=ssd" in (await grid.ok("ps", "-a", "hello")).out
    (serving,) = [job for job in await grid.jobs("hello", "up") if job["type"] == "worker"]
    await grid.ok("host", "add-tag", name, "disk=ssd")

    async def both() -> bool:
        up = [job["id"] for job in await grid.jobs("hello", "up") if job["type"] == "worker"]
        return len(up) == 2 and serving["id"] in up

    await grid.until(both, 60, "both run, and the one of before is one of them")
    shown = (await grid.ok("explain", serving["id"])).out
    assert f"up on {name}" in shown
    assert "<- here" in shown
    assert (await grid.ok("scale", "-a", "hello")).out == "worker=2  on hosts with disk=ssd\n"
    assert (await grid.flynn("explain", "hello-worker-0")).code == 1


async def test_one_on_every_host(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("scale", "worker=1", "--any", "--omni", "-a", "hello")
    assert (await grid.ok("scale", "-a", "hello")).out == "worker=1  on every host\n"
    assert "worker" in (await grid.ok("ps", "-a", "hello")).out

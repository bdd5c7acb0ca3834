"""The daemons of three machines are replaced one after the other while all of them are asked: no request is lost."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.cluster.keepalive import Strict
from tests.cluster.talks import HOST
from tests.etcd import running_etcd

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("a", "b", "c")

LEAST = 20
"""Requests that each router must have answered meanwhile, or nothing was shown."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grids(any_etcd: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Grid]]:
    """Three nodes, each with an instance of `hello`."""
    work = tmp_path_factory.mktemp("rolling")
    async with AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(running_etcd(any_etcd, work / "etcd"))
        settings = ["--etcd", *etcd.urls, "--set", "host.backend=process", "--set", "controller.rebalance=0"]
        found = [await stack.enter_async_context(open_grid(*settings, "--name", name)) for name in NAMES]
        await found[0].ok("create", "hello")
        await found[0].ok("deploy", str(apps.talkative(work / "hello")), "-a", "hello")
        await found[0].ok("scale", "-a", "hello", "web=3")
        assert {job["host"] for job in await found[0].jobs("hello", "up")} == set(NAMES)
        yield found


@asynccontextmanager
async def asked(grids: Sequence[Grid]) -> AsyncIterator[None]:
    """Strict clients at each of these routers for the length of a block; none of them sees a failure."""
    loads = [Strict(grid.http_port, HOST, clients=4, once=once) for grid in grids for once in (False, True)]
    async with AsyncExitStack() as stack:
        for load in loads:
            await stack.enter_async_context(load.running())
        yield
    assert [failure for load in loads for failure in load.failures] == []
    assert min(load.count for load in loads) > LEAST


async def instances(grid: Grid) -> dict[str, Any]:
    """The pid of each that is up."""
    return {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")}


async def test_daemons_that_take_over_lose_no_request(grids: list[Grid], tmp_path: Path) -> None:
    before = await instances(grids[0])
    async with asked(grids):
        for grid in grids:
            former = await grid.take_over()
            await grid.until(lambda former=former: ended(former), 60, "the earlier daemon has ended")  # type: ignore[misc]
            assert former.returncode == 0, grid.tail()
    assert await instances(grids[0]) == before


async def test_daemons_that_are_stopped_and_started_anew_lose_no_request_of_the_others(grids: list[Grid]) -> None:
    """Whoever asks the machine itself meanwhile finds nobody, but its instances are reached through the others."""
    before = await instances(grids[0])
    for grid in grids:
        async with asked([other for other in grids if other is not grid]):
            assert await grid.stop() == 0, grid.tail()
            await grid.start()
    assert await instances(grids[0]) == before


async def ended(process: Any) -> bool:
    return process.poll() is not None

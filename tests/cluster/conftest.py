"""The grids that end-to-end tests run on: one over SQLite, one over a real etcd."""

from collections.abc import AsyncIterator

import pytest

from tests.cluster.grid import Grid, open_grid
from tests.etcd import open_etcd_server


@pytest.fixture(params=["sqlite", "etcd"])
async def grid(request: pytest.FixtureRequest) -> AsyncIterator[Grid]:
    """A fresh grid of one node."""
    if request.param == "sqlite":
        async with open_grid() as opened:
            yield opened
        return
    async with open_etcd_server() as server, open_grid("--etcd", server.url) as opened:
        yield opened

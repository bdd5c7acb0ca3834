"""The grids that end-to-end tests run on: one over SQLite, one over a real etcd."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.grid import Grid, open_grid
from tests.etcd import running_etcd


@pytest.fixture(params=["sqlite", "etcd"])
async def grid(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Grid]:
    """A fresh grid of one node."""
    if request.param == "sqlite":
        async with open_grid() as opened:
            yield opened
        return
    binary = request.getfixturevalue("any_etcd")
    async with running_etcd(binary, tmp_path / "etcd") as etcd, open_grid("--etcd", *etcd.urls) as opened:
        yield opened

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.fake import TOKEN, FakeGrid, open_fake
from tests.cli.shell import Shell


@pytest.fixture
async def grid() -> AsyncIterator[FakeGrid]:
    """A fake grid with one app, hello."""
    async with open_fake() as grid:
        grid.add("hello")
        yield grid


@pytest.fixture
def flynn(grid: FakeGrid, tmp_path: Path) -> Shell:
    """The command, told of the fake grid and the app."""
    return Shell(tmp_path, {"FLYNN_URL": grid.url, "FLYNN_TOKEN": TOKEN, "FLYNN_APP": "hello"})

"""A host with its agent, to whose jobs clients attach."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.plugins.host.backends.backend import Backend
from tests.plugins.host.rig import Rig, open_rig


@pytest.fixture
async def rig(light_backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        yield rig


@pytest.fixture
async def any_rig(backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """The same with every backend."""
    async with open_rig(tmp_path / "data", backend=backend.name) as rig, rig.running():
        yield rig

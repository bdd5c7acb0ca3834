"""A host whose engine is as it was before, once its jobs and images are gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docker import Engine
from tests.plugins.host.rig import Rig, open_rig


@pytest.fixture
async def rig(docker: Engine, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host with its agent, whose containers and images go with it."""
    async with open_rig(tmp_path / "data", backend="docker") as found:
        async with found.running():
            yield found
    assert await docker.left() == []
    await docker.forget_images()

"""What all tests of the builder share: the tools, packed and unpacked once, and one cache of packages."""

from pathlib import Path

import pytest

from flynn.plugins.builder import tools
from flynn.plugins.builder.brick import OWN
from flynn.plugins.host.unpack import unpack


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tools of a build, unpacked."""
    folder = tmp_path_factory.mktemp("kit")
    unpack(tools.prepare(folder, OWN), folder / "tools")
    return folder / "tools"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that builds share."""
    return tmp_path_factory.mktemp("cache")

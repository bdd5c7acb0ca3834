"""The hostile app once more, in a container whose network is its app's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.plugins.host.docker.docker import DockerBackend
from tests.docker import Engine
from tests.plugins.host.conftest import opened
from tests.plugins.host.test_hostile import Scene, scene_of
from tests.plugins.host.test_hostile import (
    test_it_cannot_kill_what_all_depends_on as test_it_cannot_kill_what_all_depends_on,
)
from tests.plugins.host.test_hostile import test_it_cannot_run_away as test_it_cannot_run_away
from tests.plugins.host.test_hostile import test_it_fills_only_what_is_its_own as test_it_fills_only_what_is_its_own
from tests.plugins.host.test_hostile import (
    test_it_finds_none_of_the_nodes_files as test_it_finds_none_of_the_nodes_files,
)
from tests.plugins.host.test_hostile import (
    test_it_is_killed_if_it_does_not_listen as test_it_is_killed_if_it_does_not_listen,
)
from tests.plugins.host.test_hostile import (
    test_it_reaches_no_socket_of_the_node as test_it_reaches_no_socket_of_the_node,
)
from tests.plugins.host.test_hostile import test_it_sees_no_other_process as test_it_sees_no_other_process
from tests.plugins.host.test_hostile import test_its_forks_come_to_an_end as test_its_forks_come_to_an_end
from tests.plugins.host.test_hostile import test_its_log_is_bounded as test_its_log_is_bounded
from tests.plugins.host.test_hostile import test_its_memory_is_limited as test_its_memory_is_limited

pytestmark = pytest.mark.heavy


@pytest.fixture
async def scene(walled: Engine, tmp_path: Path) -> AsyncIterator[Scene]:
    """In which each is an app of its own; nothing is left of it in the engine."""
    backend = await opened(DockerBackend(tmp_path / "data"))
    assert backend.no_own == ""
    async with scene_of(backend, tmp_path, "own") as made:
        yield made
    assert await walled.left() == []

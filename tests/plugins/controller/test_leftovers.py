"""What a deleted app leaves, which is cleared away some keys at a time."""

import pytest

from flynn.core import keys, model
from flynn.plugins.controller.leftovers import AT_ONCE, clear_leftovers
from flynn.plugins.controller.plan import owners
from tests.plugins.controller.world import World


@pytest.mark.parametrize("releases", range(AT_ONCE - 3, AT_ONCE + 2))
def test_all_of_it_is_found_in_the_end_whoever_leads_by_then(releases: int) -> None:
    """A leader that is new knows of it by its records alone."""
    world = World()
    for _ in range(releases):
        world.release("gone", "web")
    world.put(keys.formation("gone"), model.Formation(app="gone", counts={"web": 1}))
    world.put(keys.repository("gone"), model.Repository(app="gone"))
    while "gone" in owners(world.facts):
        [change] = clear_leftovers(world.facts, "gone")
        world.write(change)
    assert not any(world.facts.tables.values())

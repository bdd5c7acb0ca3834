"""What operators want of hosts."""

import pytest
from msgspec.structs import replace

from flynn.core import keys, matching, model
from flynn.core.errors import Invalid, NotFound
from flynn.plugins.controller import wishes
from tests.plugins.controller.world import World


def grid() -> World:
    world = World()
    world.put(
        keys.host("a"),
        model.Host(name="a", address="", url="", started=1.0, tags={"disk": "ssd", "zone": "north"}),
    )
    return world


def test_tags_go_over_those_of_the_host() -> None:
    world = grid()
    world.write(wishes.set_tags(world.facts, "a", {"zone": "south", "gpu": "yes"}, ["disk"]))
    assert matching.tags(world.facts, world.facts.hosts["a"]) == {"zone": "south", "gpu": "yes"}
    assert world.history[-1] == "tags of a: zone=south, gpu=yes, no disk"
    world.write(wishes.set_tags(world.facts, "a", {"zone": "north", "disk": "ssd"}, ["gpu"]))
    assert not world.facts.wishes
    assert matching.tags(world.facts, world.facts.hosts["a"]) == {"disk": "ssd", "zone": "north"}


def test_a_wish_outlives_the_host_and_keeps_its_tags_through_a_drain() -> None:
    world = grid()
    world.write(wishes.set_tags(world.facts, "a", {"gpu": "yes"}, []))
    world.write(wishes.drain(world.facts, "a", False, 60.0, 5.0))
    world.lose("a")
    assert matching.draining(world.facts, "a")
    world.write(wishes.undrain(world.facts, "a"))
    assert world.facts.wishes["a"] == model.Wish(host="a", tags={"gpu": "yes"})
    assert not wishes.undrain(world.facts, "a").puts


def test_a_second_drain_keeps_when_it_began() -> None:
    world = grid()
    world.write(wishes.drain(world.facts, "a", False, 60.0, 5.0))
    world.write(wishes.drain(world.facts, "a", True, 90.0, 9.0))
    assert world.facts.wishes["a"] == model.Wish(host="a", drained=5.0, force=True, timeout=90.0)


@pytest.mark.parametrize(
    ("put", "remove", "said"),
    [
        ({"Zone": "x"}, [], "tag name"),
        ({"zone": ""}, [], "one word or line"),
        ({"zone": "x" * 101}, [], "one word or line"),
        ({"zone": "a\nb"}, [], "one word or line"),
        ({}, ["gpu"], "a has no tag 'gpu'"),
        ({f"t{n}": "x" for n in range(60)}, [], "over 50 tags"),
    ],
)
def test_what_is_no_tag(put: dict[str, str], remove: list[str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        wishes.set_tags(grid().facts, "a", put, remove)


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(NotFound, match="no host 'b' now"):
        wishes.drain(grid().facts, "b", False, 1.0, 1.0)


def test_what_is_wanted_of_a_host_that_is_away_is_kept() -> None:
    world = World()
    world.host("a")
    host = replace(world.facts.hosts["a"], tags={"disk": "ssd"})
    world.put(keys.host("a"), host)
    world.write(wishes.set_tags(world.facts, "a", {}, ["disk"]))
    world.lose("a")
    world.write(wishes.set_tags(world.facts, "a", {"rack": "r1"}, []))
    world.put(keys.host("a"), host)
    assert matching.tags(world.facts, host) == {"rack": "r1"}

"""What waits to be looked at for the history is bounded, and nothing that stays is missed by that."""

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.controller.events.derive import Known, derive
from flynn.plugins.controller.events.heard import Heard
from tests.plugins.controller.world import World


def made(world: World, heard: Heard, name: str) -> None:
    world.put(keys.app(name), model.App(name=name, created=world.now))
    heard.hear(world.facts, world.now)


def told(heard: Heard) -> list[str]:
    texts = []
    while heard:
        before, facts, now = heard.next()
        texts += [event.text for event in derive(Known(before), facts, now, 30.0) if event]
    return texts


def test_beyond_its_bound_commits_are_looked_at_together() -> None:
    world, heard = World(), Heard(most=3)
    heard.begin(world.facts)
    for number in range(10):
        made(world, heard, f"app-{number}")
        assert len(heard) <= 3
    assert sorted(told(heard)) == [f"the app app-{number} is created" for number in range(10)]
    made(world, heard, "last")
    assert told(heard) == ["the app last is created"]


def test_it_begins_anew() -> None:
    world, heard = World(), Heard()
    made(world, heard, "before")
    heard.begin(world.facts)
    made(world, heard, "after")
    assert told(heard) == ["the app after is created"]
    assert isinstance(heard.last, Facts)

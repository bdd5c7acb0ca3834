"""The jobs of before, from what was told since."""

from typing import Any

import pytest
from hypothesis import given, settings

from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.events import history
from flynn.plugins.controller.events.derive import Known, derive
from flynn.plugins.controller.events.history import Bounds, written
from flynn.plugins.controller.events.then import ENDED, jobs_at
from flynn.plugins.controller.jobs_api import list_jobs
from tests.plugins.controller.test_properties import ACTS, act, begin
from tests.plugins.controller.world import World

Rows = dict[str, tuple[str, str]]
"""By job its state and host."""


def rows(facts: Facts) -> Rows:
    """As the API lists them now."""
    return _brief([row for row in list_jobs(facts, "hello", True) if row["state"] not in ENDED])


def _brief(found: list[dict[str, Any]]) -> Rows:
    return {row["id"]: (row["state"], row.get("host", "")) for row in found}


def then(world: World, at: float) -> Rows:
    present = list_jobs(world.facts, "hello", True)
    return _brief(jobs_at(world.facts, "hello", at, world.now, present, everything=False))


def tell(world: World, before: Facts, bounds: Bounds) -> None:
    found = [event for event in derive(Known(before), world.facts, world.now, 30.0) if event]
    for change in written(world.facts, found, world.facts.revision, world.now, bounds=bounds):
        world.write(change)


@settings(max_examples=100)
@given(ACTS)
def test_each_moment_is_known_as_it_was(acts: list[tuple[str, int]]) -> None:
    """Also where the history has lost its beginning: then from there."""
    world, seen = begin(), dict[float, Rows]()
    bounds = Bounds(kept=12, page=4)
    for name, number in acts:
        if name in ("lose", "return"):  # a lost job is one that nobody says when it was
            continue
        before = world.facts
        act(world, name, number)
        tell(world, before, bounds)
        seen[world.now] = rows(world.facts)
        world.now += 1
    first = history.begins(world.facts)
    for at, was in seen.items():
        if first and at >= first.time:
            assert then(world, at + 0.5) == was


def test_what_is_not_known_is_refused() -> None:
    world = World()
    with pytest.raises(Invalid, match="the history begins now"):
        then(world, world.now)
    before = world.facts
    world.host("a")
    tell(world, before, Bounds())
    assert then(world, world.now) == {}
    with pytest.raises(Invalid, match="the history begins 0 s ago"):
        then(world, world.now - 1)
    with pytest.raises(Invalid, match="yet to come"):
        then(world, world.now + 1)

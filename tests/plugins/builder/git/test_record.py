"""What is known of a repository after a push, and after another branch was chosen to deploy."""

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import NotFound
from flynn.plugins.builder.git.record import recorded
from flynn.plugins.builder.git.repository_api import choose
from flynn.plugins.builder.git.rules import HEADS, Command, Verdict
from tests.plugins.controller.world import World

ZERO, A, B, C = "0" * 40, "a" * 40, "b" * 40, "c" * 40
MAIN, TOPIC, DEV = HEADS + "main", HEADS + "topic", HEADS + "dev"
REPOSITORY = model.Repository(
    app="hello", branch="main", refs={MAIN: A, TOPIC: B, DEV: C}, previews={"topic": 5.0, "dev": 6.0}
)
PUSHED = Verdict(Command(B, C, TOPIC), "topic", True)


@pytest.fixture
def world() -> World:
    world = World()
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    preview = model.Preview(of="hello", branch="topic", born=1.0)
    world.put(keys.app("hello-topic"), model.App(name="hello-topic", created=5.0, preview=preview))
    world.put(keys.repository("hello"), REPOSITORY)
    return world


def known(world: World) -> model.Repository:
    return world.facts.repositories["hello"]


def test_a_branch_is_kept_with_its_preview(world: World) -> None:
    world.write(recorded(world.facts, REPOSITORY, PUSHED, (), (), 9.0))
    assert known(world) == replace(REPOSITORY, refs={MAIN: A, TOPIC: C, DEV: C}, pushed=9.0)


def test_one_whose_preview_was_deleted_meanwhile_is_not(world: World) -> None:
    """Else git would say of its next push that all is up to date."""
    world.write(Change(deletes=(keys.app("hello-topic"),)))
    with pytest.raises(NotFound, match="the preview of topic was deleted meanwhile"):
        recorded(world.facts, REPOSITORY, PUSHED, (), (), 9.0)
    gone = Verdict(Command(B, ZERO, TOPIC), "topic", True)
    world.write(recorded(world.facts, REPOSITORY, gone, (), (), 9.0))
    assert TOPIC not in known(world).refs


@pytest.mark.parametrize(("on", "left"), [(False, {MAIN: A, DEV: C}), (True, {DEV: C})])
def test_what_is_pushed_to_a_branch_that_deploys_now_is_no_preview_any_more(
    world: World, on: bool, left: dict[str, str]
) -> None:
    """Nor is the branch that deployed one already."""
    app = replace(world.facts.apps["hello"], previewing=model.Previewing(on=on))
    world.put(keys.app("hello"), app)
    world.write(choose(world.facts, "hello", "topic"))
    assert (known(world).branch, known(world).refs) == ("topic", left)


def test_a_branch_of_which_nothing_is_known_can_be_chosen(world: World) -> None:
    world.write(choose(world.facts, "hello", "other"))
    assert known(world) == replace(REPOSITORY, branch="other")

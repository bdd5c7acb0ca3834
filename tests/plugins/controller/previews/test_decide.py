"""Which preview apps there may be, what they are made of, and when they go."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Conflict, Full, Invalid, NotFound
from flynn.core.previews import previews_of, pushed_as
from flynn.plugins.controller.decide import create_app
from flynn.plugins.controller.previews.decide import MOST, UNUSED, ensure, forsaken, name_of, remove, switch
from tests.plugins.controller.world import World

NOW = 1000.0


@pytest.fixture
def world() -> World:
    world = World()
    env, limits = {"A": "1"}, {"web": {"memory": 128}}
    mounts: dict[str, tuple[model.Mount, ...]] = {"web": (model.Mount(path="/data", volume="data", id="1"),)}
    world.put(
        keys.app("hello"),
        model.App(name="hello", created=1.0, release=7, env=env, limits=limits, buildpacks=("python",), mounts=mounts),
    )
    world.write(switch(world.facts, "hello", True, None))
    return world


def made(world: World, branch: str = "feature/x", of: str = "hello") -> model.App:
    world.write(ensure(world.facts, of, branch, "example.com", NOW))
    return previews_of(world.facts, of)[branch]


def test_a_preview_has_the_config_of_its_app_and_a_route_and_no_data(world: World) -> None:
    app = made(world)
    assert (app.name, app.preview) == ("hello-feature-x", model.Preview(of="hello", branch="feature/x", born=1.0))
    assert (app.env, app.limits, app.buildpacks) == ({"A": "1"}, {"web": {"memory": 128}}, ("python",))
    assert (app.release, app.mounts, app.previewing, app.created) == (0, {}, model.Previewing(), NOW)
    assert [route.domain for route in world.facts.routes_of(app.name)] == ["hello-feature-x.example.com"]
    assert not ensure(world.facts, "hello", "feature/x", "example.com", NOW + 1).puts, "it is there"
    assert (pushed_as(world.facts, app.name), pushed_as(world.facts, "hello")) == ("hello", "hello")


def test_a_name_that_another_has_is_never_taken_over_or_deleted(world: World) -> None:
    world.write(create_app(world.facts, "hello-own", "example.com", NOW))
    with pytest.raises(Conflict, match="hello-own is an app of its own, which stays as it is, so own cannot"):
        ensure(world.facts, "hello", "own", "example.com", NOW)
    with pytest.raises(NotFound, match="hello has no preview of own"):
        remove(world.facts, "hello", "own")
    made(world, "feature/x")
    with pytest.raises(Conflict, match="hello-feature-x is the preview of feature/x, so feature-x cannot"):
        ensure(world.facts, "hello", "feature-x", "example.com", NOW)


def test_one_is_made_only_where_they_are_on_and_not_without_end(world: World) -> None:
    world.write(switch(world.facts, "hello", False, None))
    with pytest.raises(Invalid, match="flynn preview on -a hello"):
        made(world)
    world.write(switch(world.facts, "hello", True, 0))
    for number in range(MOST - 2):
        made(world, f"b{number}")
    one, other = (ensure(world.facts, "hello", f"b{number}", "example.com", NOW) for number in (18, 19))
    assert keys.app("hello") in one.puts, "so of two that are made at once the other is decided again"
    assert keys.app("hello") in other.guarded()
    made(world, "b18")
    made(world, "b19")
    with pytest.raises(Full, match="20 previews"):
        made(world, "more")
    with pytest.raises(Invalid, match="is a preview of hello itself"):
        switch(world.facts, "hello-b1", True, None)
    with pytest.raises(Invalid, match="without a request"):
        switch(world.facts, "hello", None, 3)


def test_it_goes_with_its_routes_and_its_data(world: World) -> None:
    app = made(world)
    volume = model.Volume(app=app.name, name="data", id="1", created=NOW)
    world.put(keys.volume(app.name, "data"), volume)
    world.write(remove(world.facts, "hello", "feature/x"))
    assert (app.name in world.facts.apps, world.facts.routes_of(app.name)) == (False, [])
    assert world.facts.volumes[f"{app.name}/data"].deleting
    assert "hello" in world.facts.apps


def test_what_no_push_can_remove_any_more_is_removed(world: World) -> None:
    never, served = made(world, "never"), made(world, "served")
    world.put(keys.app(served.name), replace(served, release=1))
    assert not list(forsaken(world.facts, NOW + UNUSED))
    build = model.Build(app=never.name, number=1, job="x", source="", started=NOW + 5)
    world.put(keys.build(never.name, 1), build)
    assert not list(forsaken(world.facts, NOW + 9 * UNUSED)), "it is being built, whatever the clock says"
    world.put(keys.build(never.name, 1), replace(build, state="failed"))
    assert not list(forsaken(world.facts, NOW + UNUSED + 4)), "somebody tries"
    for change in forsaken(world.facts, NOW + UNUSED + 6):
        world.write(change)
    assert set(world.facts.apps) == {"hello", served.name}


@pytest.mark.parametrize("created", [0.5, NOW + 1], ids=["by a clock that was set back", "later"])
def test_those_of_an_app_of_before_are_nobodys_and_go(world: World, created: float) -> None:
    app = made(world)
    world.put(keys.app("hello"), replace(world.facts.apps["hello"], created=created))
    assert not previews_of(world.facts, "hello")
    with pytest.raises(Conflict, match="hello-feature-x is the preview of feature/x, so"):
        ensure(world.facts, "hello", "feature/x", "example.com", NOW)
    assert [change.why for change in forsaken(world.facts, NOW)] == [f"delete {app.name}"]


def test_those_of_an_app_that_was_made_by_a_clock_ahead_stay(world: World) -> None:
    world.put(keys.app("hello"), replace(world.facts.apps["hello"], created=NOW + 60))
    app = made(world)
    assert app.created < world.facts.apps["hello"].created
    assert not list(forsaken(world.facts, NOW))


@pytest.mark.parametrize("branch", ["", "a\nb", "x" * 201, "\udcff" * 201])
def test_a_branch_has_a_name_of_which_something_can_be_said(world: World, branch: str) -> None:
    with pytest.raises(Invalid, match="is no good name for the branch of a preview"):
        made(world, branch)


@given(st.from_regex(keys.NAME, fullmatch=True).filter(lambda name: len(name) <= keys.NAME_LIMIT), st.text(min_size=1))
def test_each_branch_has_a_good_name(app: str, branch: str) -> None:
    name = name_of(app, branch)
    assert keys.check_name("app", name) == name == name_of(app, branch)


def test_long_names_differ() -> None:
    assert name_of("hello", "Fix_THE thing") == "hello-fix-the-thing"
    one, other = (name_of("hello", "a-branch-" + "x" * 60 + end) for end in "12")
    assert one != other
    assert re.fullmatch(r"hello-a-branch-x+-[0-9a-f]{6}", one)

"""Which buildpacks an app may be set to."""

import re

import pytest

from flynn.core import keys, model
from flynn.core.errors import Invalid
from flynn.plugins.controller.buildpacks import MOST, set_buildpacks
from tests.plugins.controller.world import World

KNOWN = ("python", "nodejs")


@pytest.fixture
def world() -> World:
    world = World()
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env={"A": "1"}))
    return world


def test_they_are_kept_with_the_app_in_their_order(world: World) -> None:
    packs = ["nodejs", "https://example.com/x/y.git#v1.2", "https://example.com/z.tgz", "shelf:" + "ab" * 32]
    world.write(set_buildpacks(world.facts, "hello", packs, KNOWN))
    assert world.facts.apps["hello"].buildpacks == tuple(packs)
    assert world.facts.apps["hello"].env == {"A": "1"}
    assert not set_buildpacks(world.facts, "hello", packs, KNOWN).puts
    world.write(set_buildpacks(world.facts, "hello", [], KNOWN))
    assert world.facts.apps["hello"].buildpacks == ()


def test_one_that_is_named_as_it_is_shown_keeps_its_password(world: World) -> None:
    secret, shown = "https://me:secret@example.com/x.git", "https://***@example.com/x.git"
    world.write(set_buildpacks(world.facts, "hello", [secret], KNOWN))
    world.write(set_buildpacks(world.facts, "hello", ["python", shown], KNOWN))
    assert world.facts.apps["hello"].buildpacks == ("python", secret)
    with pytest.raises(Invalid) as refused:
        set_buildpacks(world.facts, "hello", [f"http{secret[5:]}"], KNOWN)
    assert "secret" not in str(refused.value)
    with pytest.raises(Invalid) as refused:
        set_buildpacks(world.facts, "hello", [secret, secret], KNOWN)
    assert "secret" not in str(refused.value)


BAD = {
    "rails": "'rails' names no buildpack; give one of python, nodejs, the address of a git repository or of a .tgz "
    "(https://HOST/PATH#REF), or shelf:SHA256",
    "heroku/python": "heroku/python is a name at Heroku; write python (flynn's own) or "
    "https://github.com/heroku/heroku-buildpack-python",
    "heroku/ruby": "heroku/ruby is a name at Heroku; write https://github.com/heroku/heroku-buildpack-ruby",
    "http://example.com/x.git": "'http://example.com/x.git' names no buildpack; ",
    "git@example.com:x/y.git": "'git@example.com:x/y.git' names no buildpack; ",
    "https://example.com": "'https://example.com' names no buildpack; ",
    "https://example.com/x#--upload-pack=x": "'https://example.com/x#--upload-pack=x' names no buildpack; ",
    "https://example.com/x y": "'https://example.com/x y' names no buildpack; ",
    "shelf:12": "'shelf:12' names no buildpack; ",
    "https://e.com/" + "x" * 600: f"'https://e.com/{'x' * 83}...' names no buildpack; ",
}


@pytest.mark.parametrize("pack", BAD)
def test_what_names_none_is_refused_with_what_does(world: World, pack: str) -> None:
    with pytest.raises(Invalid, match=re.escape(BAD[pack])):
        set_buildpacks(world.facts, "hello", [pack], KNOWN)


def test_there_is_a_bound_and_each_one_is_there_once(world: World) -> None:
    with pytest.raises(Invalid, match="21 buildpacks are too many for hello; 20 at most"):
        set_buildpacks(world.facts, "hello", [f"https://example.com/{n}" for n in range(MOST + 1)], KNOWN)
    with pytest.raises(Invalid, match="python is named twice; each buildpack runs once"):
        set_buildpacks(world.facts, "hello", ["python", "nodejs", "python"], KNOWN)

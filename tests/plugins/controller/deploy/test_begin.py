"""How deploys begin: what only changed restarts, how they go, and that there is one at a time."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Conflict, Invalid
from flynn.plugins.controller import decide
from flynn.plugins.controller.deploy.orders import cancel, promote
from flynn.plugins.controller.deploy.settings import checked, described_deploy, set_deploying, settled
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.limits import set_limits
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types
from tests.plugins.controller.world import SLUG, World

PROCFILE = {"web": "serve", "worker": "work"}


def begun(world: World, commands: Mapping[str, str] = PROCFILE, **how: object) -> None:
    """The next release of the app, and its deploy."""
    app = world.facts.apps["hello"]
    going = checked("test", how, OWN)
    draft = Draft(SLUG, process_types(commands), app.env, "")
    world.write(begin_deploy(world.facts, "hello", draft, world.now, going)[0])


def served(commands: Mapping[str, str] = PROCFILE, hosts: int = 1, **counts: int) -> World:
    world = World()
    for number in range(hosts):
        world.host(f"host-{number}")
    world.put(keys.app("hello"), model.App(name="hello", created=world.now))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts=counts or {"web": 2, "worker": 1}))
    begun(world, commands)
    world.run()
    return world


def ids(world: World, type: str) -> set[str]:
    return {a.job.id for a in world.facts.jobs.values() if a.job.type == type}


def test_a_limit_of_one_type_restarts_no_other() -> None:
    world = served()
    web, worker = ids(world, "web"), ids(world, "worker")
    world.write(set_limits(world.facts, "hello", {"worker": {"memory": 256}}, {}, world.now))
    assert world.trace("hello") == ["+1 worker v2", "-1 worker v1"]
    assert ids(world, "web") == web
    assert not ids(world, "worker") & worker
    assert (world.facts.apps["hello"].release, world.facts.releases["hello/2"].made) == (2, {"web": 1})


def test_what_is_kept_is_of_the_release_that_made_it_through_many() -> None:
    """It can be scaled, is replaced when it is lost, and restarts once it does change."""
    world = served()
    for memory in (256, 300, 400):
        world.write(set_limits(world.facts, "hello", {"worker": {"memory": memory}}, {}, world.now))
        world.run()
    world.write(decide.scale(world.facts, "hello", {"web": 3}))
    world.run()
    assert world.up("hello") == {(1, "web"): 3, (4, "worker"): 1}
    world.write(decide.set_env(world.facts, "hello", {"A": "1"}, (), world.now))
    world.run()
    assert world.up("hello") == {(5, "web"): 3, (5, "worker"): 1}


def test_a_deploy_that_changes_nothing_restarts_nothing() -> None:
    world = served()
    before = set(world.facts.jobs)
    begun(world)
    world.run()
    assert (set(world.facts.jobs), world.facts.apps["hello"].release) == (before, 2)


def test_a_deploy_that_fails_leaves_what_was_the_same_alone() -> None:
    world = served()
    web = ids(world, "web")
    begun(world, {"web": "serve", "worker": "bad"})
    world.settle()
    (new,) = [a for a in world.facts.jobs.values() if a.job.release == 2]
    world.tell(new, "down", failure="start", reason="no such file: bad")
    world.run()
    assert world.facts.deploys["hello"].reason == "worker no such file: bad"
    assert ids(world, "web") == web
    assert world.up("hello") == {(1, "web"): 2, (1, "worker"): 1}


def test_a_rollback_brings_back_config_and_all() -> None:
    world = served()
    world.write(decide.set_env(world.facts, "hello", {"A": "1"}, (), world.now))
    world.run()
    world.write(decide.rollback(world.facts, "hello", 1, world.now))
    world.run()
    assert (world.facts.releases["hello/3"].env, world.facts.apps["hello"].env) == ({}, {})
    assert world.up("hello") == {(3, "web"): 2, (3, "worker"): 1}


def test_one_deploy_at_a_time() -> None:
    world = served()
    world.write(decide.set_env(world.facts, "hello", {"A": "1"}, (), world.now))
    with pytest.raises(Conflict, match=r"a deploy of hello to v2 is under way.*`flynn deploy --cancel -a hello`"):
        decide.set_env(world.facts, "hello", {"A": "2"}, (), world.now)
    world.settle()
    world.write(cancel(world.facts, "hello", world.now))
    world.write(decide.rollback(world.facts, "hello", 2, world.now))
    world.run()
    assert world.up("hello") == {(3, "web"): 2, (3, "worker"): 1}


def test_what_cannot_be_ordered() -> None:
    world = served()
    with pytest.raises(Invalid, match="no deploy of hello is under way"):
        cancel(world.facts, "hello", world.now)
    with pytest.raises(Invalid, match="no deploy of hello is under way"):
        promote(world.facts, "hello")
    begun(world, {"web": "other", "worker": "work"})
    with pytest.raises(Invalid, match="goes on by itself: it is no canary"):
        promote(world.facts, "hello")


@pytest.mark.parametrize("hosts", [1, 3])
def test_as_is_usual(hosts: int) -> None:
    how = served(hosts=hosts).facts.deploys["hello"].how
    assert (how.strategy, how.batch, how.timeout, how.share, how.hold) == ("rolling", hosts, 0.0, 0.1, 0.0)


def test_what_is_said_last_counts() -> None:
    world = served()
    world.write(set_deploying(world.facts, world.facts.apps["hello"], {"strategy": "one-by-one", "timeout": 60}, OWN))
    begun(world, {"web": "other", "worker": "work"}, strategy="all-at-once")
    how = world.facts.deploys["hello"].how
    assert (how.strategy, how.timeout) == ("all-at-once", 60.0)
    world.run()
    begun(world, {"web": "more", "worker": "work"})
    assert world.facts.deploys["hello"].how.strategy == "one-by-one"


def test_the_apps_own_file_sets_it() -> None:
    world = served()
    told = described_deploy({"deploy": {"strategy": "canary", "share": 0.2, "hold": 30}}, OWN)
    change, _ = begin_deploy(
        world.facts, "hello", Draft(SLUG, process_types({"web": "x"}), {}, ""), world.now, told=told
    )
    world.write(change)
    assert world.facts.deploys["hello"].how == replace(told, batch=1)
    assert world.facts.apps["hello"].deploying == told
    world.run()
    assert world.facts.apps["hello"].deploying == told
    assert settled(world.facts, world.facts.apps["hello"].deploying).strategy == "canary"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"strategy": "blue-green"}, "there is no strategy 'blue-green'; there are: rolling, all-at-once"),
        ({"stratgey": "rolling"}, "unknown key 'stratgey'; known are: strategy, batch, timeout, share, hold"),
        ({"batch": -1}, "batch cannot be -1; 0 to 1000 processes"),
        ({"share": 0.9}, "share cannot be 0.9; 0 to 0.5 of all processes"),
        ({"share": float("nan")}, "share cannot be nan"),
        ({"timeout": 1e9}, "timeout cannot be 1e\\+09; 0 to 86400 seconds"),
        ({"hold": "long"}, "Expected `float`, got `str`"),
        ([], "it is no table"),
    ],
)
def test_what_cannot_be(said: object, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        described_deploy({"deploy": said}, OWN)


def test_a_release_command_is_no_process() -> None:
    world = served()
    serves = world.facts.releases["hello/1"]
    processes = {**serves.processes, "release": model.ProcessType(command="migrate")}
    world.put(keys.release("hello", 1), replace(serves, processes=processes))
    with pytest.raises(Invalid, match="release of hello is its release command: it runs once at each deploy"):
        decide.scale(world.facts, "hello", {"release": 1})

"""The release command: before anything else, once, and what becomes of a deploy with it."""

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.plugins.controller.cancel import cancel as take_out
from flynn.plugins.controller.deploy.orders import cancel
from tests.plugins.controller.deploy.test_begin import begun, served
from tests.plugins.controller.world import World

MIGRATES = {"web": "serve two", "release": "./migrate"}


def migrating() -> World:
    """An app that serves, whose next release has just been begun."""
    world = served({"web": "serve"}, web=2)
    begun(world, MIGRATES)
    return world


def command(world: World) -> model.Assignment:
    (found,) = [a for a in world.facts.jobs.values() if a.job.queue == "ephemeral"]
    return found


def test_it_runs_once_before_anything_starts() -> None:
    world = migrating()
    world.settle()
    job = command(world).job
    assert (job.command, job.release, job.type, job.service) == ("./migrate", 2, "release", "")
    assert world.facts.deploys["hello"].reason == "the release command runs: ./migrate"
    assert {a.job.release for a in world.facts.jobs.values() if a.job.queue == "services"} == {1}
    world.tell(command(world), "up")
    world.settle()
    assert {a.job.release for a in world.facts.jobs.values() if a.job.queue == "services"} == {1}
    world.tell(command(world), "down", exit_code=0)
    world.run()
    assert world.up("hello") == {(2, "web"): 2}
    assert sum(word.count("release command of hello v2") for word in world.history) == 1


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"exit_code": 3, "failure": "crash", "reason": "exited with code 3"}, "exited with code 3"),
        ({"failure": "start", "reason": "no such blob"}, "no such blob"),
    ],
)
def test_if_it_fails_nothing_was_touched(told: dict[str, object], reason: str) -> None:
    world = migrating()
    world.settle()
    before = {key for key, a in world.facts.jobs.items() if a.job.queue == "services"}
    job = command(world)
    world.tell(job, "down", **told)
    world.run()
    deploy = world.facts.deploys["hello"]
    assert (deploy.state, deploy.reason, deploy.job) == ("failed", f"the release command {reason}", job.job.id)
    assert set(world.facts.jobs) == before


def test_one_that_does_not_end_is_stopped() -> None:
    world = migrating()
    world.settle()
    world.tell(command(world), "up")
    world.now += 101
    world.settle()
    assert world.facts.deploys["hello"].reason == "the release command has not ended after 100 s"
    assert command(world).stop
    world.run()
    assert world.up("hello") == {(1, "web"): 2}


def test_one_that_waits_says_why_and_is_taken_out_when_the_deploy_is_cancelled() -> None:
    world = migrating()
    world.write(Change(deletes=(keys.host("host-0"),)))
    world.settle()
    assert [q.reason for q in world.facts.queues.values()] == ["no host is up"]
    world.write(cancel(world.facts, "hello", world.now))
    world.settle()
    assert not world.facts.queues


def test_one_that_runs_is_stopped_when_the_deploy_is_cancelled() -> None:
    world = migrating()
    world.settle()
    world.tell(command(world), "up")
    world.write(cancel(world.facts, "hello", world.now))
    world.settle()
    assert command(world).stop


def test_one_that_is_lost_with_its_host_fails_the_deploy() -> None:
    world = migrating()
    world.settle()
    world.write(Change(deletes=(keys.job("host-0", command(world).job.id),)))
    world.run()
    assert world.facts.deploys["hello"].reason == "the release command was lost with its host"
    assert world.up("hello") == {(1, "web"): 2}


def test_one_that_is_taken_out_of_its_queue_fails_the_deploy_at_once() -> None:
    world = migrating()
    world.write(Change(deletes=(keys.host("host-0"),)))
    world.settle()
    (id,) = (queued.job.id for queued in world.facts.queues.values())
    world.write(take_out(world.facts, "ephemeral", id, world.now))
    deploy = world.facts.deploys["hello"]
    why = "the release command was taken out of its queue: it was cancelled before it had a host"
    assert (deploy.state, deploy.reason, deploy.job, deploy.ended) == ("failed", why, id, world.now)
    world.settle()
    assert world.facts.deploys["hello"] == deploy
    assert not world.facts.queues


def test_it_runs_also_where_nothing_else_changed() -> None:
    """A rollback, or the same again: what it did may have to be done anew."""
    world = migrating()
    world.settle()
    world.tell(command(world), "down", exit_code=0)
    world.run()
    begun(world, MIGRATES)
    world.settle()
    assert command(world).job.release == 3
    world.tell(command(world), "down", exit_code=0)
    world.run()
    assert world.up("hello") == {(2, "web"): 2}
    assert world.facts.apps["hello"].release == 3


def test_that_of_a_cancelled_deploy_has_ended_before_the_next_one_begins() -> None:
    """Also where the next deploy began before anybody looked: two never run beside each other."""
    world = migrating()
    world.settle()
    first = command(world)
    world.write(cancel(world.facts, "hello", world.now))
    begun(world, MIGRATES | {"web": "serve three"})
    world.settle()
    assert command(world).job.id == first.job.id
    assert command(world).stop
    world.tell(command(world), "down", reason="stopped", exit_code=143)
    world.settle()
    assert (command(world).job.release, command(world).stop) == (3, False)


def test_one_that_was_stopped_has_not_ended_well() -> None:
    """Though it ends with code 0 when it is told to."""
    world = migrating()
    world.settle()
    a = command(world)
    world.put(keys.job(a.host, a.job.id), replace(a, stop=True))
    world.tell(a, "down", reason="stopped", exit_code=0)
    world.run()
    assert world.facts.deploys["hello"].reason == "the release command was stopped"
    assert world.up("hello") == {(1, "web"): 2}

"""What `flynn run` queues: of which release, with which limits, for how long; and what is refused."""

import re

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Invalid, NotFound
from flynn.plugins.controller.one_off import NewRun, run_job
from tests.plugins.controller.world import World


def deployed() -> World:
    """App `hello`: v2 serves, and v1 had another slug and config."""
    world = World()
    old = replace(world.release("hello", "web"), env={"COLOR": "red"})
    new = replace(old, version=2, artifact=model.Artifact(sha256="b" * 64, size=2), env={"COLOR": "blue"})
    world.put(keys.release("hello", 1), old)
    world.put(keys.release("hello", 2), new)
    limits = {"run": {"memory": 1024, "reserve": 64, "pids": 50}}
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, release=2, limits=limits))
    return world


def queued(world: World, wanted: NewRun, longest: float = 0.0) -> model.Job:
    world.write(run_job(world.facts, "hello", wanted, "hello-run-1", 3.0, longest))
    return world.facts.queues["ephemeral/hello-run-1"].job


def test_it_is_of_the_release_that_serves() -> None:
    job = queued(deployed(), NewRun("date", env={"A": "1"}))
    assert (job.release, job.env, job.layers) == (2, {"COLOR": "blue", "A": "1"}, {"app": "b" * 64})
    assert (job.command, job.queue, job.type, job.attached) == ("date", "ephemeral", "run", True)
    assert (job.service, job.time_limit) == ("hello-run", 0.0)


def test_another_release_comes_with_its_slug_and_its_config() -> None:
    world = deployed()
    job = queued(world, NewRun("date", release=1))
    assert (job.release, job.env) == (1, {"COLOR": "red"})
    assert job.layers == {"app": world.facts.releases["hello/1"].artifact.sha256} != {"app": "b" * 64}


def test_limits_of_its_own_are_over_the_apps() -> None:
    job = queued(deployed(), NewRun("date", limits={"memory": 2048, "cpu": 500}))
    assert (job.memory_limit, job.memory, job.cpu, job.pids) == (2048, 2048, 500, 50)
    assert queued(deployed(), NewRun("date")).memory == 64


def test_it_has_as_long_as_it_asks_for_or_as_any_may_have() -> None:
    assert queued(deployed(), NewRun("date", time_limit=5.0), 60.0).time_limit == 5.0
    assert queued(deployed(), NewRun("date"), 60.0).time_limit == 60.0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (NewRun("date", time_limit=61.0), "may run 60 s"),
        (NewRun("date", time_limit=-1.0), "number of seconds over 0"),
        (NewRun("date", limits={"memory": 1}), "memory of this job cannot be 1"),
        (NewRun("date", limits={"speed": 1}), "there is no limit 'speed'"),
        (NewRun(" \n"), "no command was given"),
        (NewRun("date", meta={"x": "y" * 257}), "a job has 20 notes at most"),
        (NewRun("date", detach=True, terminal=(24, 80)), "has no terminal"),
        (NewRun("date", env={"PORT": "1"}), "PORT is given by flynn itself"),
    ],
)
def test_what_is_refused(wanted: NewRun, said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)):
        run_job(deployed().facts, "hello", wanted, "hello-run-1", 3.0, 60.0)


def test_a_release_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="hello has no release v7; `flynn release` lists them"):
        run_job(deployed().facts, "hello", NewRun("date", release=7), "hello-run-1", 3.0)
    world = World()
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    with pytest.raises(Invalid, match="has no release yet; deploy it first"):
        run_job(world.facts, "hello", NewRun("date"), "hello-run-1", 3.0)

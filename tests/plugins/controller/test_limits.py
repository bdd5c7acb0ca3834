"""Limits of process types: what is set is checked, kept with the app, and part of each release and job from then on."""

import re

import pytest

from flynn.core import keys, model
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller import decide
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.limits import effective, set_limits
from flynn.plugins.controller.one_off import NewRun, run_job
from flynn.plugins.controller.releases import limited
from tests.plugins.controller.world import World


def deployed() -> World:
    """App `hello` with release v1 (web, worker) in service."""
    world = World()
    release = world.release("hello", "web", "worker")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, release=release.version))
    return world


def newest(facts: Facts) -> model.Release:
    return max(facts.releases.values(), key=lambda release: release.version)


def test_a_limit_of_memory_is_reserved_too_unless_less_is() -> None:
    web = model.ProcessType(command="run", serves=True)
    both = limited({"web": web, "worker": web}, {"web": {"memory": 512}, "worker": {"memory": 512, "reserve": 64}})
    assert (both["web"].memory, both["web"].memory_limit) == (512, 512)
    assert (both["worker"].memory, both["worker"].memory_limit) == (64, 512)
    assert limited(both, {}) == {"web": web, "worker": web}


def test_what_is_set_makes_a_release_and_stays_for_later_ones() -> None:
    world = deployed()
    world.write(set_limits(world.facts, "hello", {"web": {"memory": 512, "cpu": 500, "cpu_reserve": 100}}, {}, 2.0))
    made = newest(world.facts)
    assert (made.version, made.description) == (2, "Limit web")
    assert (made.processes["web"].memory_limit, made.processes["web"].cpu) == (512, 500)
    assert made.processes["worker"] == model.ProcessType(command="run")
    job = job_of(made, "web", "services", "hello-web-1", 3.0)
    assert (job.memory, job.memory_limit, job.cpu, job.cpu_reserve) == (512, 512, 500, 100)
    assert (job.pids, job.files) == (model.PIDS, model.FILES)
    assert world.facts.apps["hello"].limits == {"web": {"cpu": 500, "cpu_reserve": 100, "memory": 512}}

    ended = model.Deploy(app="hello", old=1, new=2, started=2.0, state="complete")
    world.put(keys.deploy("hello"), ended)
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, release=2, limits={"web": {"cpu": 500}}))
    world.write(decide.set_env(world.facts, "hello", {"A": "1"}, (), 4.0))
    assert newest(world.facts).processes["web"].cpu == 500


def test_the_same_again_or_what_no_release_has_yet_deploys_nothing() -> None:
    world = deployed()
    assert set_limits(world.facts, "hello", {}, {"web": ["memory"]}, 2.0).puts == {}
    world.write(set_limits(world.facts, "hello", {"run": {"memory": 2048}}, {}, 2.0))
    assert newest(world.facts).version == 1
    world.write(run_job(world.facts, "hello", NewRun("date"), "hello-run-1", 3.0))
    job = next(iter(world.facts.queues.values())).job
    assert (job.memory_limit, job.memory) == (2048, 2048)


def test_what_is_unset_is_as_usual_again() -> None:
    world = deployed()
    world.put(
        keys.app("hello"), model.App(name="hello", created=1.0, release=1, limits={"web": {"memory": 512, "pids": 9}})
    )
    world.write(set_limits(world.facts, "hello", {}, {"web": ["memory", "pids"]}, 2.0))
    assert world.facts.apps["hello"].limits == {}
    assert effective(world.facts, "hello")["web"] == {
        "memory": model.BURST * model.MEMORY, "reserve": model.MEMORY, "cpu": 0, "cpu_reserve": 0,
        "pids": 2048, "files": 16384,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("put", "said"),
    [
        ({"web": {"memory": 1}}, "memory of web cannot be 1: MiB that its jobs may take at most, from 16 to"),
        ({"web": {"cpu": 0}}, "cpu of web cannot be 0"),
        ({"web": {"disk": 5}}, "there is no limit 'disk'; known are: memory, reserve, cpu, cpu_reserve, pids, files"),
        (
            {"web": {"cpu": 500, "cpu_reserve": 501}},
            "web cannot reserve 501 thousandths of a core",
        ),
        ({"web": {"memory": 64, "reserve": 65}}, "web cannot reserve 65 MiB and have 64 at most"),
        ({"wbe": {"memory": 64}}, "hello has no process type wbe; v1 has: web, worker; one-off jobs are run"),
        ({"W B": {"memory": 64}}, "is no good process type name"),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(put: dict[str, dict[str, int]], said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)):
        set_limits(deployed().facts, "hello", put, {}, 2.0)

"""Jobs that leave their host: replaced first, then stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.plugins.controller import wishes
from flynn.plugins.controller.jobs import Known
from flynn.plugins.controller.moving import turnover
from tests.plugins.controller.world import World


def known(number: int, moving: bool, state: str) -> Known:
    job = model.Job(id=f"j{number}", app="a", type="web", queue="services", command="x", created=float(number))
    told = model.JobState(
        id=job.id, app="a", type="web", queue="services", release=1, host="h", state="up", since=1.0, created=1.0
    )
    place = "" if state == "queued" else "h"
    return Known(job, job.id, place, state=told if state == "up" else None, moving="drain" if moving and place else "")


JOBS = st.lists(st.tuples(st.booleans(), st.sampled_from(["queued", "starting", "up"])), max_size=8)


@given(JOBS, st.integers(0, 6))
def test_a_turnover_never_leaves_fewer_up_and_ends_with_those_wanted(jobs: list[tuple[bool, str]], count: int) -> None:
    have = [known(number, *job) for number, job in enumerate(jobs)]
    turn = turnover(have, count)
    stopped = {job.job.id for job in turn.stop}
    left = [job for job in have if job.job.id not in stopped]
    assert len(stopped) == len(turn.stop)
    assert sum(job.up for job in left) >= min(count, sum(job.up for job in have))
    assert sum(not job.moving for job in left) + turn.missing == count
    if sum(job.up and not job.moving for job in left) >= count:
        assert not any(job.moving for job in left)


def served(*hosts: str, **counts: int) -> World:
    """Hosts, and the app hello in service on them."""
    world = World()
    for host in hosts:
        world.host(host)
    world.app("hello", **counts)
    world.run()
    return world


def drained(world: World, host: str, force: bool = False, timeout: float = 0.0) -> None:
    world.write(wishes.drain(world.facts, host, force, timeout, world.now))


def places(world: World, app: str) -> list[str]:
    return sorted(a.host for key, a in world.facts.jobs.items() if a.job.app == app and not a.stop)


def test_a_drained_host_is_left_once_others_are_up() -> None:
    world = served("a", web=2)
    world.host("b")
    drained(world, "a")
    world.settle()
    assert world.up("hello") == {(1, "web"): 2}
    assert places(world, "hello") == ["a", "a", "b", "b"]
    assert "leaves a, which is drained" in " ".join(world.history)
    world.run()
    assert places(world, "hello") == ["b", "b"]
    assert world.up("hello") == {(1, "web"): 2}


def test_what_has_no_other_place_stays_where_it_is() -> None:
    world = served("a", web=1)
    drained(world, "a")
    world.run()
    (waits,) = world.facts.queues.values()
    assert waits.reason == "a takes no new job: it is drained"
    assert world.up("hello") == {(1, "web"): 1}
    world.host("b")
    world.run()
    assert places(world, "hello") == ["b"]
    assert not world.facts.queues


def test_what_has_not_moved_yet_stays_when_the_drain_is_called_off() -> None:
    world = served("a", web=2)
    before = {a.job.id for a in world.facts.jobs.values()}
    drained(world, "a")
    world.settle()
    assert all(a.moving == "drain" for a in world.facts.jobs.values())
    world.write(wishes.undrain(world.facts, "a"))
    world.run()
    assert {a.job.id: a.moving for a in world.facts.jobs.values()} == dict.fromkeys(before, "")
    assert not world.facts.queues
    assert not world.facts.wishes


def test_those_that_leave_are_the_first_to_stop() -> None:
    world = served("a", web=2)
    world.host("b")
    drained(world, "a")
    world.settle()
    world.obey()
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 1}))
    world.run()
    assert places(world, "hello") == ["b"]


def test_a_job_that_could_not_begin_on_a_drained_host_is_replaced_too() -> None:
    world = World()
    world.host("a")
    world.app("hello", web=1)
    world.settle()
    drained(world, "a")
    world.host("b")
    world.run()
    assert places(world, "hello") == ["b"]


def test_a_drained_host_that_dies_loses_its_jobs_as_any_other() -> None:
    world = served("a", web=2)
    drained(world, "a")
    world.lose("a")
    world.host("b")
    world.run()
    world.now += 40
    world.run()
    assert places(world, "hello") == ["b", "b"]


def with_volume(world: World, name: str, app: str, host: str) -> tuple[model.Mount, ...]:
    made = model.Volume(app=app, name=name, id="1", created=1.0, host=host)
    world.put(keys.volume(app, name), made)
    return (model.Mount(path="/data", volume=name, id="1"),)


def test_what_is_bound_by_a_volume_stays_unless_it_is_forced() -> None:
    world = World()
    world.host("a")
    world.host("b")
    world.app("hello", web=1)
    mounts = with_volume(world, "data", "hello", "a")
    release = world.facts.releases["hello/1"]
    types = {"web": replace(release.processes["web"], mounts=mounts)}
    world.put(keys.release("hello", 1), replace(release, processes=types))
    world.run()
    drained(world, "a")
    world.run()
    assert places(world, "hello") == ["a"]
    assert world.up("hello") == {(1, "web"): 1}
    drained(world, "a", force=True)
    world.run()
    assert places(world, "hello") == []
    (waits,) = world.facts.queues.values()
    assert waits.reason == "its volume data is on a, which takes no new job: it is drained"


def one_off(world: World, host: str) -> None:
    job = model.Job(id="hello-run-1", app="hello", type="run", queue="ephemeral", command="x", created=world.now)
    world.put(keys.job(host, job.id), model.Assignment(job=job, host=host, assigned=world.now))


def test_one_off_jobs_are_let_end_and_stopped_late_by_force_alone() -> None:
    world = World()
    world.host("a")
    world.app("hello", web=0)
    one_off(world, "a")
    world.run()
    drained(world, "a", timeout=50)
    world.now += 100
    world.run()
    assert places(world, "hello") == ["a"]
    drained(world, "a", force=True, timeout=500)
    wake = world.plan().wake
    assert wake == world.facts.wishes["a"].drained + 500
    assert not world.plan().changes
    world.now = wake
    world.run()
    assert not world.facts.jobs


def test_a_killed_one_off_job_is_not_replaced() -> None:
    world = World()
    world.host("a")
    world.app("hello", web=1)
    one_off(world, "a")
    world.run()
    (killed,) = [a for a in world.facts.jobs.values() if a.job.queue == "ephemeral"]
    world.tell(killed, "down", exit_code=137, reason="killed by signal 9 (SIGKILL)")
    world.run()
    assert [a.job.queue for a in world.facts.jobs.values()] == ["services"]
    assert not world.facts.queues


def test_of_what_is_too_much_those_without_a_host_go_first_then_those_that_leave_then_the_newest() -> None:
    jobs = [known(0, False, "up"), known(1, True, "up"), known(2, False, "up"), known(3, False, "queued")]
    gone = [{job.job.id for job in turnover(jobs, count).stop} for count in (2, 1, 0)]
    assert gone == [{"j3", "j1"}, {"j3", "j1", "j2"}, {"j0", "j1", "j2", "j3"}]


def test_what_is_not_well_stops_before_what_serves() -> None:
    """A process that its check found unwell is up still, but nobody's requests reach it."""
    world = served("a", web=2)
    world.write(Change(deletes=(keys.instance("hello-web", "hello-web-2"),)))
    world.put(keys.formation("hello"), replace(world.facts.formations["hello"], counts={"web": 1}))
    world.settle()
    assert [a.job.id for a in world.facts.jobs.values() if a.stop] == ["hello-web-2"]


@pytest.mark.parametrize("drained", ["a", "b", "c"])
def test_of_what_runs_on_every_host_only_that_of_the_drained_one_stops(drained: str) -> None:
    world = World()
    for name in "abc":
        world.host(name)
    world.app("hello", web=1)
    every = {"web": model.Placement(omni=True)}
    world.put(keys.formation("hello"), replace(world.facts.formations["hello"], placement=every))
    world.run()
    before = set(world.facts.jobs)
    world.write(wishes.drain(world.facts, drained, False, 0.0, world.now))
    world.run()
    assert set(world.facts.jobs) == {key for key in before if not key.startswith(f"{drained}/")}

"""Each strategy, event by event (FLYNN.md, 47 to 50, 52 to 54, 62)."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.plugins.controller.deploy.orders import cancel, promote
from flynn.plugins.controller.deploy.strategies import canaries
from flynn.plugins.controller.deploy.wanted import RESTORE
from flynn.plugins.controller.plan import Limits
from flynn.plugins.controller.queue_limits import QueueLimits
from tests.plugins.controller.world import World


def replace_limits(limits: Limits, services: QueueLimits) -> Limits:
    return dataclasses.replace(limits, queues=replace(limits.queues, services=services))


def served(hosts: int = 1, **counts: int) -> World:
    """An app whose first release serves."""
    world = World()
    for number in range(hosts):
        world.host(f"host-{number}")
    world.app("hello", **counts)
    world.run()
    return world


def passes(world: World, times: int, seconds: float) -> None:
    """So many times a plan that the hosts obey, each followed by so many seconds."""
    for _ in range(times):
        world.settle()
        world.obey()
        world.now += seconds


def test_one_by_one() -> None:
    world = served(web=2, worker=2)
    world.deploy("hello", "web", "worker", strategy="one-by-one")
    assert world.trace("hello") == [
        *("+1 web v2", "-1 web v1", "+1 web v2", "-1 web v1"),
        *("+1 worker v2", "-1 worker v1", "+1 worker v2", "-1 worker v1"),
    ]
    assert world.facts.deploys["hello"].state == "complete"


def test_all_at_once() -> None:
    world = served(web=2, worker=2)
    world.deploy("hello", "web", "worker", strategy="all-at-once")
    assert world.trace("hello") == ["+2 web v2", "+2 worker v2", "-2 web v1", "-2 worker v1"]


@pytest.mark.parametrize("strategy", ["rolling", "one-by-one", "all-at-once", "one-down-one-up", "canary"])
def test_those_that_are_replaced_hold_up_no_deploy_where_no_more_may_run(strategy: str) -> None:
    """As many run as may: the next ones start beside those whose place they take, and no others."""
    free, full = served(web=3), served(web=3)
    full.planner.limits = full.limits = replace_limits(full.limits, QueueLimits(running=3))
    for world in (free, full):
        world.deploy("hello", "web", strategy=strategy, hold=1.0)
    assert full.trace("hello") == free.trace("hello")
    assert full.facts.deploys["hello"].state == "complete"
    full.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 4}))
    full.run()
    assert [q.reason for q in full.facts.queues.values()] == [
        "3 of the queue services are running, as many as may at once"
    ]


def test_a_step_whose_processes_find_no_host_says_so() -> None:
    world = World()
    world.host("a", memory=300)
    world.app("hello", web=2)
    world.run()
    number = world.deploy("hello", "web", strategy="one-by-one")
    world.settle()
    waits = "step 1: 1 web of v2; 0 of 1 web up (no host has room for 128 MiB: a has 44 MiB of 300 free)"
    assert world.facts.deploys["hello"].reason == waits
    world.host("b")
    world.settle()
    assert world.facts.deploys["hello"].reason == "step 1: 1 web of v2"
    world.run()
    assert (world.facts.deploys["hello"].state, world.facts.apps["hello"].release) == ("complete", number)


def test_rolling_takes_as_many_at_a_time_as_there_are_hosts() -> None:
    world = served(hosts=3, web=7, worker=1)
    world.deploy("hello", "web", "worker", strategy="rolling")
    assert world.trace("hello") == [
        *("+3 web v2", "+1 worker v2", "-3 web v1", "-1 worker v1"),
        *("+3 web v2", "-3 web v1", "+1 web v2", "-1 web v1"),
    ]


def test_the_first_of_a_type_and_the_last_step_must_stay_up_for_a_while() -> None:
    """The steps in between go on as soon as all are up."""
    world = served(web=4)
    world.planner.limits = world.limits = Limits(settle=30.0, deploy=100.0, lost=30.0)
    world.deploy("hello", "web", strategy="one-by-one")
    done: list[float] = []
    while world.facts.deploys["hello"].state == "running":
        before = world.facts.deploys["hello"].step
        world.settle()
        world.obey()
        world.now += 1
        if world.facts.deploys["hello"].step > before:
            done.append(world.now)
    taken = [round(after - began) for began, after in itertools.pairwise([*done, world.now])]
    assert [seconds >= 30 for seconds in taken] == [True, False, False, True]


def test_rolling_in_batches_of_a_stated_size() -> None:
    world = served(web=5)
    world.deploy("hello", "web", strategy="rolling", batch=2)
    assert world.trace("hello") == ["+2 web v2", "-2 web v1", "+2 web v2", "-2 web v1", "+1 web v2", "-1 web v1"]


def test_one_down_one_up() -> None:
    world = served(web=2)
    world.deploy("hello", "web", strategy="one-down-one-up")
    assert world.trace("hello") == ["-1 web v1", "+1 web v2", "-1 web v1", "+1 web v2"]


def test_one_down_one_up_has_room_where_there_is_none_for_one_more() -> None:
    world = World()
    world.host("small", memory=256)
    world.app("hello", web=2)
    world.run()
    world.deploy("hello", "web", strategy="one-down-one-up")
    world.run()
    assert world.up("hello") == {(2, "web"): 2}


def test_a_canary_is_a_few_beside_all_others_and_then_rolls_on() -> None:
    world = served(web=5, worker=1)
    world.deploy("hello", "web", "worker", strategy="canary", share=0.2, hold=20, batch=3)
    begun = world.now
    passes(world, 5, 2)
    assert world.up("hello") == {(1, "web"): 5, (1, "worker"): 1, (2, "web"): 1, (2, "worker"): 1}
    deploy = world.facts.deploys["hello"]
    assert deploy.reason == "the canary of v2 is up; v2 goes on once it has done well for 20 s"
    assert world.trace("hello") == ["-1 web v1", "-1 worker v1", "+3 web v2", "-3 web v1", "+1 web v2", "-1 web v1"]
    assert world.now > begun + 20
    assert world.facts.deploys["hello"].state == "complete"


def test_a_canary_without_a_time_waits_for_its_promotion() -> None:
    world = served(web=3)
    world.deploy("hello", "web", strategy="canary")
    passes(world, 100, 60)
    assert world.up("hello") == {(1, "web"): 3, (2, "web"): 1}
    assert "`flynn deployment promote -a hello` goes on" in world.facts.deploys["hello"].reason
    world.write(promote(world.facts, "hello"))
    world.run()
    assert world.up("hello") == {(2, "web"): 3}


def test_a_canary_that_is_cancelled_leaves_the_old_release_as_it_was() -> None:
    world = served(web=3)
    world.deploy("hello", "web", strategy="canary")
    passes(world, 5, 2)
    before = {a.job.id for a in world.facts.jobs.values() if a.job.release == 1}
    world.write(cancel(world.facts, "hello", world.now))
    assert world.trace("hello") == ["-1 web v2"]
    assert {a.job.id for a in world.facts.jobs.values()} == before
    assert world.facts.deploys["hello"].state == "cancelled"


@given(st.integers(1, 1000), st.floats(0.001, 0.5))
def test_the_share_of_a_canary(count: int, share: float) -> None:
    few = canaries(count, share)
    assert 1 <= few <= count
    assert few == 1 or abs(few / (few + count) - share) < 1 / count


@pytest.mark.parametrize("strategy", ["rolling", "all-at-once", "one-by-one", "one-down-one-up", "canary"])
def test_a_type_that_the_new_release_lacks_vanishes_and_a_new_one_waits_to_be_scaled(strategy: str) -> None:
    world = served(web=2, worker=1)
    world.deploy("hello", "web", "clock", strategy=strategy, hold=4)
    world.run()
    assert world.up("hello") == {(2, "web"): 2}


def test_a_first_deploy_starts_all_at_once() -> None:
    world = World()
    world.host("a")
    world.put(keys.app("hello"), model.App(name="hello", created=world.now))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 3}))
    world.deploy("hello", "web", strategy="one-by-one")
    assert world.trace("hello") == ["+3 web v1"]


def test_it_is_registration_that_counts_not_the_start_alone() -> None:
    """FLYNN.md, 53: nothing ends before what replaces it is registered; a process that never is fails the deploy."""
    world = served(web=1)
    world.deploy("hello", "web")
    world.settle()
    world.obey()
    (new,) = [a for a in world.facts.jobs.values() if a.job.release == 2]
    world.write(Change(deletes=(keys.instance("hello-web", new.job.id),)))
    for _ in range(10):
        world.now += 10
        world.settle()
    assert world.facts.deploys["hello"].reason == "0 of 1 web up after 100 s"
    world.run()
    assert world.up("hello") == {(1, "web"): 1}
    world.deploy("hello", "web")
    world.run()
    assert world.up("hello") == {(3, "web"): 1}


@pytest.mark.parametrize("strategy", ["rolling", "one-by-one", "one-down-one-up"])
def test_what_fails_half_way_is_taken_back_without_a_gap(strategy: str) -> None:
    """The new processes that serve go on until the old ones do again."""
    world = served(web=4)
    world.deploy("hello", "web", strategy=strategy, batch=1)
    fewest = 3 if strategy == "one-down-one-up" else 4
    while world.live("hello")[2, "web"] < 3:
        world.settle()
        world.obey()
        world.now += 2
    victim = next(a for a in world.facts.jobs.values() if a.job.release == 2)
    world.tell(victim, "starting", failure="crash", restarts=3, reason="exited with code 1; restart 4 in 10 s")
    for _ in range(20):
        world.step()
        assert world.serving("hello", "web") >= fewest - 1
        world.obey()
    assert world.facts.deploys["hello"].state == "failed"
    assert world.facts.deploys["hello"].reason == "web exited with code 1; restart 4 in 10 s"
    world.run()
    assert world.up("hello") == {(1, "web"): 4}


def test_processes_of_a_release_that_failed_are_given_up_in_the_end() -> None:
    """The old ones cannot be started again, for want of room: those of the new one do not stay for ever."""
    world = served(web=2)
    world.deploy("hello", "web", strategy="rolling", batch=1)
    while world.live("hello")[2, "web"] < 1 or world.live("hello")[1, "web"] > 1:
        world.settle()
        world.obey()
        world.now += 2
    world.put(keys.host("host-0"), replace(world.facts.hosts["host-0"], full="its disk is full"))
    world.write(cancel(world.facts, "hello", world.now))
    world.run()
    assert world.live("hello") == {(1, "web"): 1, (2, "web"): 1}
    world.now += RESTORE
    world.run()
    assert world.live("hello") == {(1, "web"): 1}


@pytest.mark.parametrize("strategy", ["rolling", "all-at-once", "one-by-one", "canary"])
@pytest.mark.parametrize("count", [0, 1, 6])
def test_a_scale_during_a_deploy_is_right_for_both(strategy: str, count: int) -> None:
    world = served(web=3)
    world.deploy("hello", "web", strategy=strategy, hold=8)
    passes(world, 3, 2)
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": count}))
    world.run(100)
    assert world.up("hello") == ({(2, "web"): count} if count else {})


def test_a_cancelled_deploy_gives_back_what_was_scaled_meanwhile() -> None:
    world = served(web=3)
    world.deploy("hello", "web", strategy="one-by-one")
    passes(world, 3, 2)
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 5}))
    world.settle()
    world.write(cancel(world.facts, "hello", world.now))
    world.run()
    assert world.up("hello") == {(1, "web"): 5}


def test_a_strategy_of_a_plugin_that_is_gone_is_as_usual() -> None:
    world = served(web=2)
    world.deploy("hello", "web", strategy="blue-green")
    assert world.trace("hello") == ["+1 web v2", "-1 web v1", "+1 web v2", "-1 web v1"]


@pytest.mark.parametrize(("strategy", "steps"), [("all-at-once", 1), ("rolling", 1), ("one-by-one", 3)])
def test_a_type_on_every_host_is_replaced_on_every_host(strategy: str, steps: int) -> None:
    """FLYNN.md, 54."""
    world = served(hosts=3, web=1)
    omni = {"web": model.Placement(omni=True)}
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 1}, placement=omni))
    world.run()
    assert world.up("hello") == {(1, "web"): 3}
    world.deploy("hello", "web", strategy=strategy)
    assert world.trace("hello") == [f"+{3 // steps} web v2", f"-{3 // steps} web v1"] * steps
    assert sorted(a.host for a in world.facts.jobs.values()) == ["host-0", "host-1", "host-2"]


@pytest.mark.parametrize("strategy", ["all-at-once", "rolling", "one-by-one"])
def test_a_type_that_is_once_on_a_host_is_replaced_where_it_is(strategy: str) -> None:
    world = served(hosts=2, web=2)
    once = {"web": model.Placement(one_per_host=True)}
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 2}, placement=once))
    world.run()
    world.deploy("hello", "web", strategy=strategy)
    world.run()
    assert world.up("hello") == {(2, "web"): 2}
    assert sorted(a.host for a in world.facts.jobs.values()) == ["host-0", "host-1"]

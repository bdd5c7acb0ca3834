"""Jobs moved to where less of their kind is: gently, and not for ever."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.controller import balancer, wishes
from flynn.plugins.controller.moment import Limits, Moment
from flynn.plugins.controller.place import Ground
from flynn.plugins.controller.queue_limits import QueueLimits, Queues
from flynn.plugins.controller.rebalance import Balance, Zones, rebalance
from tests.plugins.controller.test_moving import with_volume
from tests.plugins.controller.world import World

REST = Limits().rest


def balanced(budget: int = 2) -> World:
    return World(limits=Limits(settle=1.0, deploy=100.0, lost=30.0, rebalance=budget))


def spread(world: World, app: str) -> Counter[str]:
    """How many of its jobs are up on each host."""
    return Counter(
        a.host
        for key, a in world.facts.jobs.items()
        if a.job.app == app and not a.stop and key in world.facts.states and world.facts.states[key].state == "up"
    )


def let(world: World, rounds: int = 30) -> None:
    """Time passes, in which each job has been up for long enough."""
    for _ in range(rounds):
        world.run()
        world.now += REST
        if not world.plan().changes:
            return
    raise AssertionError(f"it moves for ever: {world.history[-10:]}")


def test_a_host_that_joins_gets_its_share_one_after_the_other() -> None:
    world = balanced()
    world.host("a")
    world.host("b")
    world.app("hello", web=6)
    let(world)
    assert spread(world, "hello") == {"a": 3, "b": 3}
    world.host("c")
    world.step()
    assert sum(a.moving == "rebalance" for a in world.facts.jobs.values()) == 1
    assert world.history[-1].endswith("which has more of its kind than c")
    let(world)
    assert spread(world, "hello") == {"a": 2, "b": 2, "c": 2}
    moved = [said for said in world.history if "more of its kind" in said]
    assert len(moved) == 2


def test_it_is_never_below_what_was_asked_for() -> None:
    world = balanced()
    world.host("a")
    world.app("hello", web=4)
    let(world)
    world.host("b")
    for _ in range(60):
        world.step()
        assert sum(spread(world, "hello").values()) >= 4
        world.obey()
        world.now += 10
    assert spread(world, "hello") == {"a": 2, "b": 2}


def test_the_grid_has_so_many_moves_at_a_time() -> None:
    world = balanced(budget=2)
    world.host("a", memory=1 << 20)
    for number in range(5):
        world.app(f"app{number}", web=2)
    let(world)
    world.host("b", memory=1 << 20)
    world.settle()
    assert sum(a.moving == "rebalance" for a in world.facts.jobs.values()) == 2
    let(world)
    for number in range(5):
        assert spread(world, f"app{number}") == {"a": 1, "b": 1}


def test_nothing_moves_where_it_is_switched_off() -> None:
    world = balanced(budget=0)
    world.host("a")
    world.app("hello", web=4)
    let(world)
    world.host("b")
    let(world)
    assert spread(world, "hello") == {"a": 4}


def test_a_job_that_came_up_just_now_rests_first() -> None:
    world = balanced()
    world.host("a")
    world.app("hello", web=2)
    world.run()
    world.host("b")
    since = max(state.since for state in world.facts.states.values())
    plan = world.plan()
    assert not plan.changes
    assert plan.wake is not None
    assert since + REST <= plan.wake <= world.now + REST


def test_zones_are_evened_out_before_hosts() -> None:
    world = balanced()
    for name, zone in (("a", "n"), ("b", "n")):
        world.host(name)
        world.put(keys.host(name), replace(world.facts.hosts[name], tags={"zone": zone}))
    world.app("hello", web=4)
    let(world)
    world.host("c")
    world.put(keys.host("c"), replace(world.facts.hosts["c"], tags={"zone": "s"}))
    let(world)
    assert spread(world, "hello")["c"] == 2


def test_what_is_bound_by_a_volume_does_not_move() -> None:
    world = balanced()
    world.host("a")
    world.app("hello", web=2)
    mounts = tuple(replace(mount, shared=True) for mount in with_volume(world, "data", "hello", "a"))
    world.put(keys.volume("hello", "data"), replace(world.facts.volumes["hello/data"], shared=True))
    release = world.facts.releases["hello/1"]
    types = {"web": replace(release.processes["web"], mounts=mounts)}
    world.put(keys.release("hello", 1), replace(release, processes=types))
    let(world)
    world.host("b")
    let(world)
    assert spread(world, "hello") == {"a": 2}


def test_a_host_that_takes_jobs_again_gets_some() -> None:
    world = balanced()
    world.host("a")
    world.host("b")
    world.app("hello", web=4)
    let(world)
    world.write(wishes.drain(world.facts, "b", False, 60.0, world.now))
    let(world)
    assert spread(world, "hello") == {"a": 4}
    world.write(wishes.undrain(world.facts, "b"))
    let(world)
    assert spread(world, "hello") == {"a": 2, "b": 2}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["", "n", "s"])), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_it_comes_to_rest_and_spreads_what_can_be_spread(
    counts: list[int], hosts: list[tuple[int, str]], first: int, budget: int
) -> None:
    """Hosts join one after the other; in the end no host with room has two fewer of an app than one of its zone."""
    world = balanced(budget)

    def join(number: int) -> None:
        memory, zone = hosts[number]
        name = "abcd"[number]
        world.host(name, memory=memory * 256)
        world.put(keys.host(name), replace(world.facts.hosts[name], tags={"zone": zone} if zone else {}))

    for number in range(min(first, len(hosts))):
        join(number)
    for number, count in enumerate(counts):
        world.app(f"app{number}", web=count)
    let(world)
    for number in range(first, len(hosts)):
        join(number)
        let(world)
    if world.facts.queues:
        return
    zones = {zone for _, zone in hosts}
    free = {
        name: host.memory - sum(a.job.memory for a in world.facts.jobs.values() if a.host == name)
        for name, host in world.facts.hosts.items()
    }
    for number in range(len(counts)):
        have = spread(world, f"app{number}")
        if len(zones) == 1:
            roomy = [
                have[name]
                for name, left in free.items()
                if left >= model.Job(id="x", app="x", type="x", queue="services", command="x", created=1.0).memory
            ]
            assert max(have.values(), default=0) - min(roomy, default=99) <= 1


def test_no_move_begins_whose_next_job_would_wait_in_its_queue() -> None:
    """It would be called off, and begun again, for ever."""
    queues = Queues(services=QueueLimits(running=2))
    world = World(limits=Limits(settle=1.0, deploy=100.0, lost=30.0, rebalance=2, queues=queues))
    world.host("a")
    world.app("hello", web=2)
    world.run()
    world.host("b")
    let(world)
    assert spread(world, "hello") == {"a": 2}


def test_no_batch_job_makes_way_for_the_sake_of_spread() -> None:
    world = balanced()
    world.host("a", memory=256)
    world.app("hello", web=2)
    world.run()
    world.put(keys.app("batch"), model.App(name="batch", created=1.0))
    world.host("b", memory=200)
    world.now += REST
    world.step()
    job = model.Job(id="batch-run-1", app="batch", type="run", queue="ephemeral", created=world.now, command="x")
    batch = model.Assignment(job=job, host="b", assigned=world.now)
    world.put(keys.job("b", job.id), batch)
    world.tell(batch, "up")
    world.run()
    assert not world.facts.jobs["b/batch-run-1"].stop
    assert spread(world, "hello") == {"a": 2}


def test_apps_that_cannot_be_spread_better_are_not_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only once there is room for them, or they change themselves; they get their moves then, one after the other."""
    world = balanced(budget=1)
    world.host("a", memory=4096)
    for number in range(5):
        world.app(f"app{number}", web=2)
    let(world)
    world.host("b", memory=100)
    world.now += REST
    world.settle()
    looked = list[str]()

    def counted(facts: Facts, zones: Zones, ground: Ground, app: str, moment: Moment) -> Balance:
        looked.append(app)
        return rebalance(facts, zones, ground, app, moment)

    monkeypatch.setattr(balancer, "rebalance", counted)
    for _ in range(3):
        world.app(f"other{world.number}", web=0)
        world.planner.plan(world.facts, world.now, world.now)
    assert {app for app in looked if app.startswith("app")} == set()
    monkeypatch.undo()
    world.host("b", memory=300)
    let(world)
    assert sum(a.host == "b" for a in world.facts.jobs.values()) == 2
    world.host("b", memory=4096)
    let(world, 60)
    assert {f"app{number}": spread(world, f"app{number}") for number in range(5)} == {
        f"app{number}": {"a": 1, "b": 1} for number in range(5)
    }

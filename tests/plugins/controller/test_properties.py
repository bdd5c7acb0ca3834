"""Properties of the planner under any order of events: it settles, never doubles, and never leaves a gap."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.plugins.controller import wishes
from flynn.plugins.controller.deploy.orders import cancel, promote
from flynn.plugins.controller.deploy.wanted import RESTORE
from tests.plugins.controller.world import World

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.integers(1, 3)),
        st.tuples(st.just("obey"), st.integers(1, 1)),
        st.tuples(st.just("time"), st.integers(1, 40)),
        st.tuples(st.just("scale"), st.integers(0, 4)),
        st.tuples(st.just("deploy"), st.integers(0, 4)),
        st.tuples(st.just("cancel"), st.integers(1, 1)),
        st.tuples(st.just("promote"), st.integers(1, 1)),
        st.tuples(st.just("crash"), st.integers(0, 5)),
        st.tuples(st.just("unstartable"), st.integers(0, 5)),
        st.tuples(st.just("lose"), st.integers(0, 1)),
        st.tuples(st.just("return"), st.integers(0, 1)),
        st.tuples(st.just("fill"), st.integers(0, 1)),
        st.tuples(st.just("drain"), st.integers(0, 1)),
        st.tuples(st.just("undrain"), st.integers(0, 1)),
    ),
    max_size=40,
)

STRATEGIES = ["rolling", "all-at-once", "one-by-one", "canary", "one-down-one-up"]


def begin() -> World:
    """Two hosts, and an app on them; its jobs are moved for better spread before long."""
    world = World()
    world.limits = dataclasses.replace(world.limits, rebalance=1, rest=10.0)
    world.host("a")
    world.host("b")
    world.app("hello", web=2)
    return world


def act(world: World, name: str, number: int) -> None:
    """One event of a user, a host, or time."""
    jobs = sorted(world.facts.jobs.items())
    if name == "plan":
        for _ in range(number):
            world.step()
    elif name == "obey":
        world.obey()
    elif name == "time":
        world.now += number
    elif name == "scale":
        world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": number}))
    elif name == "deploy" and world.facts.deploys["hello"].state != "running":
        world.deploy("hello", "web", strategy=STRATEGIES[number], batch=2, share=0.3, hold=10)
    elif name == "cancel" and world.facts.deploys["hello"].state == "running":
        world.write(cancel(world.facts, "hello", world.now))
    elif name == "promote" and world.facts.deploys["hello"].hold >= 0:
        world.write(promote(world.facts, "hello"))
    elif name in ("crash", "unstartable") and jobs:
        key, assignment = jobs[number % len(jobs)]
        state = world.facts.states.get(key)
        if assignment.host in world.facts.hosts and not (state and state.state == "down"):
            if name == "crash":
                world.tell(assignment, "starting", failure="crash", restarts=number, reason="exited with code 1")
            else:
                world.tell(assignment, "down", failure="start", reason="no such blob")
    elif name == "lose" and "ab"[number] in world.facts.hosts:
        world.lose("ab"[number])
    elif name == "return" and "ab"[number] not in world.facts.hosts:
        world.host("ab"[number])
    elif name == "fill" and (host := world.facts.hosts.get("ab"[number])):
        world.put(keys.host(host.name), replace(host, full="" if host.full else "its disk is nearly full"))
    elif name == "drain" and "ab"[number] in world.facts.hosts:
        world.write(wishes.drain(world.facts, "ab"[number], False, 10.0, world.now))
    elif name == "undrain" and "ab"[number] in world.facts.wishes:
        world.write(wishes.undrain(world.facts, "ab"[number]))


def recover(world: World) -> None:
    """Everything heals: both hosts live, crashed jobs come up again."""
    for host in "ab":
        act(world, "undrain", "ab".index(host))
        if host not in world.facts.hosts or world.facts.hosts[host].full:
            world.host(host)
    for _ in range(60):
        for key, a in list(world.facts.jobs.items()):
            state = world.facts.states.get(key)
            if state and state.state == "starting" and not a.stop:
                world.tell(a, "up", restarts=state.restarts)
        world.settle()
        world.obey()
        world.now += 20


@settings(max_examples=150)
@given(ACTS)
def test_it_settles_on_what_was_asked_for(acts: list[tuple[str, int]]) -> None:
    world = begin()
    for name, number in acts:
        act(world, name, number)
    recover(world)
    assert not world.plan().changes
    release = world.facts.apps["hello"].release
    wanted = world.facts.formations["hello"].counts["web"]
    assert world.facts.deploys["hello"].state != "running"
    assert world.up("hello") == ({(release, "web"): wanted} if release and wanted else {})


@settings(max_examples=150)
@given(ACTS)
def test_a_job_is_never_in_two_places(acts: list[tuple[str, int]]) -> None:
    world = begin()
    for name, number in acts:
        act(world, name, number)
        queued = [q.job.id for q in world.facts.queues.values()]
        assigned = [a.job.id for a in world.facts.jobs.values()]
        assert len({*queued, *assigned}) == len(queued) + len(assigned)


@settings(max_examples=150)
@given(ACTS)
def test_it_never_starts_more_than_was_asked_for(acts: list[tuple[str, int]]) -> None:
    """Per release, those neither stopping, leaving nor ended are never more than the largest count asked for."""
    world = begin()
    most = 2
    for name, number in acts:
        most = max(most, number) if name == "scale" else most
        act(world, name, number)
        live: dict[int, int] = {}
        for key, a in world.facts.jobs.items():
            state = world.facts.states.get(key)
            if not a.stop and not a.moving and not (state and state.state == "down"):
                live[a.job.release] = live.get(a.job.release, 0) + 1
        assert max(live.values(), default=0) <= most


@settings(max_examples=300)
@given(ACTS)
def test_a_plan_never_leaves_fewer_serving_than_it_must(acts: list[tuple[str, int]]) -> None:
    """Whatever a plan stops, as many as are wanted still serve, if they did: one fewer where a process is to end before
    its successor starts. What was to be restored for too long is given up."""
    world = begin()
    for name, number in acts:
        if name == "plan":
            for _ in range(number):
                before = world.serving("hello", "web")
                world.step()
                deploy = world.facts.deploys["hello"]
                wanted = world.facts.formations["hello"].counts["web"] - (deploy.how.strategy == "one-down-one-up")
                kept = deploy.state == "running" or world.now < deploy.ended + RESTORE
                if world.facts.apps["hello"].release and kept:
                    assert world.serving("hello", "web") >= min(before, wanted)
        else:
            act(world, name, number)


@settings(max_examples=150)
@given(ACTS)
def test_a_deploy_ends_with_the_new_release_or_the_old_one(acts: list[tuple[str, int]]) -> None:
    """Complete: the new one serves. Failed or cancelled: the one before does, and nothing is left of the new one."""
    world = begin()
    for name, number in acts:
        act(world, name, number)
    recover(world)
    deploy = world.facts.deploys["hello"]
    assert world.facts.apps["hello"].release == (deploy.new if deploy.state == "complete" else deploy.old)
    assert {a.job.release for a in world.facts.jobs.values()} <= {world.facts.apps["hello"].release}

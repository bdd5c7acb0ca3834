"""How many, and where: tags that hosts must have, every host, one on a host."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Invalid
from flynn.core.follow import scale_done
from flynn.plugins.controller import wishes
from flynn.plugins.controller.scaling import Asked, scale
from tests.plugins.controller.world import World


def grid(*hosts: str, **counts: int) -> World:
    world = World()
    for host in hosts:
        world.host(host)
    world.app("hello", **(counts or {"web": 2}))
    world.run()
    return world


def ask(world: World, **asked: int | Asked) -> None:
    world.write(scale(world.facts, "hello", asked))


def tag(world: World, host: str, **tags: str) -> None:
    world.write(wishes.set_tags(world.facts, host, tags, ()))


def untag(world: World, host: str, *tags: str) -> None:
    world.write(wishes.set_tags(world.facts, host, {}, tags))


def places(world: World, type: str = "web") -> list[str]:
    """The hosts of the jobs that are up, sorted."""
    return sorted(
        a.host
        for key, a in world.facts.jobs.items()
        if a.job.type == type and not a.stop and (state := world.facts.states.get(key)) and state.state == "up"
    )


def waits(world: World) -> list[str]:
    return [queued.reason for queued in world.facts.queues.values()]


def test_each_scale_starts_and_stops_just_what_it_says() -> None:
    """FLYNN.md, 32: two, then three and one that crashes, then one. Those that are well are left alone."""
    world = grid("a", "b", web=2, crasher=0)
    first = set(world.facts.jobs)
    ask(world, web=3, crasher=1)
    assert world.trace("hello") == ["+1 crasher v1", "+1 web v1"]
    (crasher,) = [a for a in world.facts.jobs.values() if a.job.type == "crasher"]
    for restarts in range(1, 8):
        world.tell(crasher, "starting", failure="crash", restarts=restarts, reason="exited with code 1")
        assert not world.plan().changes, "its host starts it again, nobody else"
        world.tell(crasher, "up", restarts=restarts)
    assert first < set(world.facts.jobs)
    ask(world, web=1, crasher=0)
    assert world.trace("hello") == ["-1 crasher v1", "-2 web v1"]
    (left,) = world.facts.jobs
    assert left in first, "the newest stop first"


def test_jobs_follow_the_tags_of_hosts() -> None:
    world = grid("a", "b", "c")
    tag(world, "a", disk="ssd")
    ask(world, web=Asked(count=2, tags={"disk": "ssd"}))
    world.run()
    assert places(world) == ["a", "a"]
    tag(world, "b", disk="ssd")
    untag(world, "a", "disk")
    world.run()
    assert places(world) == ["b", "b"]
    assert "leaves a, which has not the tags that it needs" in " ".join(world.history)


def test_where_no_host_has_the_tags_the_next_job_waits_and_the_old_ones_serve() -> None:
    world = grid("a", "b")
    before = places(world)
    ask(world, web=Asked(tags={"gpu": "yes"}))
    world.run()
    assert places(world) == before
    assert waits(world) == ["a is not tagged gpu=yes; b is not tagged gpu=yes"] * 2
    ask(world, web=Asked(any=True))
    world.run()
    assert (places(world), waits(world), world.facts.formations["hello"].placement) == (before, [], {})


def test_tags_survive_a_deploy_and_a_scale() -> None:
    world = grid("a", "b")
    tag(world, "b", disk="ssd")
    ask(world, web=Asked(tags={"disk": "ssd"}))
    world.run()
    world.deploy("hello", "web")
    world.run()
    assert (places(world), world.up("hello")) == (["b", "b"], {(2, "web"): 2})
    ask(world, web=3)
    world.run()
    assert places(world) == ["b", "b", "b"]


def test_every_host_has_its_own_also_one_that_joins() -> None:
    world = grid("a", web=1)
    ask(world, web=Asked(count=2, omni=True))
    world.run()
    assert places(world) == ["a", "a"]
    world.host("b")
    world.host("c")
    world.run()
    assert places(world) == ["a", "a", "b", "b", "c", "c"]
    done = scale_done(world.facts, "hello")
    assert done
    assert done["message"] == "hello runs web=6"
    ask(world, web=1)
    world.run()
    assert places(world) == ["a", "b", "c"]
    world.write(wishes.drain(world.facts, "b", False, 0.0, world.now))
    world.run()
    assert places(world) == ["a", "c"]
    ask(world, web=Asked(count=2, any=True))
    world.run()
    assert len(places(world)) == 2


def test_a_host_that_is_away_for_a_moment_costs_the_others_nothing() -> None:
    world = grid("a", "b", web=1)
    ask(world, web=Asked(omni=True))
    world.run()
    jobs = set(world.facts.jobs)
    world.lose("b")
    world.settle()
    assert not any(a.stop for a in world.facts.jobs.values())
    world.host("b")
    world.run()
    assert set(world.facts.jobs) == jobs


def test_a_host_without_room_has_none_and_no_other_gets_two() -> None:
    world = grid("a", web=1)
    world.host("small", memory=64)
    ask(world, web=Asked(omni=True))
    world.run()
    assert places(world) == ["a"]
    assert waits(world) == [
        "no host has room for 128 MiB: a runs 1 web of hello already, as many as it may; small has 64 MiB of 64 free"
    ]


def test_a_deploy_of_what_runs_on_every_host() -> None:
    world = grid("a", "b", "c", web=1)
    ask(world, web=Asked(omni=True))
    world.run()
    world.deploy("hello", "web")
    world.run()
    assert (places(world), world.up("hello")) == (["a", "b", "c"], {(2, "web"): 3})


def test_one_on_a_host() -> None:
    world = grid("a", web=2)
    world.host("b")
    ask(world, web=Asked(one_per_host=True))
    world.run()
    assert places(world) == ["a", "b"]
    ask(world, web=3)
    world.run()
    assert places(world) == ["a", "b"]
    assert waits(world) == ["; ".join(f"{host} runs 1 web of hello already, as many as it may" for host in "ab")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"web": Asked(tags={"Disk": "x"})}, "is no good tag name"),
        ({"web": Asked(tags={"disk": ""})}, "a tag's value is one word or line"),
        ({"web": Asked(omni=True, one_per_host=True)}, "web cannot run on every host and once on a host"),
        ({"wbe": Asked(omni=True)}, "hello has no process type 'wbe'"),
        ({"web": Asked(count=-1)}, "web=-1 is no good"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, int | Asked], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        scale(grid("a").facts, "hello", asked)


def test_what_writes_to_a_volume_is_not_on_every_host() -> None:
    world = grid("a", db=1)
    release = world.facts.releases["hello/1"]
    mount = model.Mount(path="/data", volume="data", id="1")
    process = replace(release.processes["db"], mounts=(mount,))
    world.put(keys.release("hello", 1), replace(release, processes={"db": process}))
    with pytest.raises(Invalid, match="the volume data has one writer at a time"):
        ask(world, db=Asked(omni=True))


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("scale"), st.integers(0, 2)),
        st.tuples(st.just("omni"), st.integers(0, 1)),
        st.tuples(st.just("apart"), st.integers(0, 1)),
        st.tuples(st.just("need"), st.integers(0, 1)),
        st.tuples(st.just("tag"), st.integers(0, 2)),
        st.tuples(st.just("untag"), st.integers(0, 2)),
        st.tuples(st.just("lose"), st.integers(0, 2)),
        st.tuples(st.just("return"), st.integers(0, 2)),
        st.tuples(st.just("deploy"), st.just(0)),
        st.tuples(st.just("plan"), st.integers(1, 3)),
        st.tuples(st.just("obey"), st.just(1)),
        st.tuples(st.just("time"), st.integers(1, 40)),
    ),
    max_size=30,
)


def act(world: World, name: str, number: int) -> None:
    host = "abc"[number % 3]
    own, wish = world.facts.hosts.get(host), world.facts.wishes.get(host)
    tagged = bool({**(own.tags if own else {}), **(wish.tags if wish else {})}.get("disk"))
    if name == "scale":
        ask(world, web=number)
    elif name == "omni":
        ask(world, web=Asked(omni=bool(number), one_per_host=False))
    elif name == "apart":
        ask(world, web=Asked(one_per_host=bool(number), omni=False))
    elif name == "need":
        ask(world, web=Asked(tags={"disk": "ssd"} if number else {}))
    elif name == "tag":
        world.put(keys.wish(host), model.Wish(host=host, tags={"disk": "ssd"}))
    elif name == "untag" and wish and tagged:
        world.write(wishes.set_tags(world.facts, host, {}, ["disk"]))
    elif name == "lose" and host in world.facts.hosts:
        world.lose(host)
    elif name == "return" and host not in world.facts.hosts:
        world.host(host)
    elif name == "deploy" and world.facts.deploys["hello"].state != "running":
        world.deploy("hello", "web")
    elif name == "plan":
        for _ in range(number):
            world.step()
    elif name == "obey":
        world.obey()
    elif name == "time":
        world.now += number


@settings(max_examples=150)
@given(ACTS)
def test_it_settles_where_it_shall(acts: list[tuple[str, int]]) -> None:
    world = grid("a", "b", "c")
    for name, number in acts:
        act(world, name, number)
    for host in "abc":
        if host not in world.facts.hosts:
            world.host(host)
        tag(world, host, disk="ssd" if host != "c" else "slow")
    world.now += 400
    for _ in range(40):
        world.settle()
        world.obey()
        world.now += 20
    assert not world.plan().changes
    formation = world.facts.formations["hello"]
    where, count = formation.placement.get("web", model.Placement()), formation.counts["web"]
    may = ["a", "b"] if where.tags else ["a", "b", "c"]
    found = places(world)
    if where.omni:
        assert found == sorted(may * count)
    else:
        assert len(found) == count
        assert set(found) <= set(may)
        assert not where.one_per_host or len(set(found)) == len(found)

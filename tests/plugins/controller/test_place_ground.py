"""What is counted on hosts: the same whether it is counted anew or followed change by change."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.place_ground import NEEDS, Ground
from flynn.plugins.controller.place_site import Demand, Needs
from tests.plugins.controller.world import World

HOSTS, JOBS = "abcd", 6

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("host"), st.integers(0, 3), st.integers(0, 7)),
        st.tuples(st.just("lose"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("wish"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("assign"), st.integers(0, 3), st.integers(0, JOBS - 1)),
        st.tuples(st.just("stop"), st.integers(0, 3), st.integers(0, JOBS - 1)),
        st.tuples(st.just("up"), st.integers(0, 3), st.integers(0, JOBS - 1)),
        st.tuples(st.just("down"), st.integers(0, 3), st.integers(0, JOBS - 1)),
        st.tuples(st.just("forget"), st.integers(0, 3), st.integers(0, JOBS - 1)),
    ),
    max_size=30,
)

DEMANDS = [
    Demand(128),
    Demand(1000, 500),
    Demand(64, 0, build=True),
    Demand(64, needs=Needs(image=True)),
    Demand(64, 100, needs=Needs(tags=(("disk", "ssd"),))),
]


def a_job(host: str, number: int) -> model.Job:
    """A job of that host: none is on two."""
    queue: model.Queue = "builders" if number == 5 else "ephemeral" if number == 4 else "services"
    mounts = (model.Mount(path="/data", volume="data", id="1"),) if number == 3 else ()
    return model.Job(
        id=f"{host}-j{number}", app="hello", type=("web", "db")[number % 2], queue=queue, command="run",
        created=float(number), release=1 + number // 3, memory=100 * (number + 1), cpu_reserve=250 * (number % 3),
        mounts=mounts,
    )  # fmt: skip


def act(world: World, name: str, which: int, number: int) -> None:
    """One event of a host, its operator, or the controller."""
    host = HOSTS[which]
    key = f"{host}/{host}-j{number}"
    if name == "host":
        tags = {"zone": "xy"[number % 2]} | ({"disk": "ssd"} if number > 3 else {})
        world.put(keys.host(host), model.Host(
            name=host, address="127.0.0.1", url="http://x", started=world.now, memory=1024 * (1 + number), cpus=number,
            images=number > 4, full="its disk is nearly full" if number == 3 else "", tags=tags,
            load=model.Load(load=number, memory_free=1, disk_free=1, disk=1),
        ))  # fmt: skip
    elif name == "lose":
        world.lose(host)
    elif name == "wish":
        wish = model.Wish(host=host, tags={"zone": "z"} if number % 2 else {}, drained=world.now * (number > 1))
        world.put(keys.wish(host), wish)
    elif name == "assign" and key not in world.facts.jobs:
        world.put(f"jobs/{key}", model.Assignment(job=a_job(host, number), host=host, assigned=1.0))
    elif (a := world.facts.jobs.get(key)) is not None:
        if name == "stop":
            world.put(f"jobs/{key}", model.Assignment(job=a.job, host=host, assigned=1.0, stop=True))
        elif name == "forget":
            world.write(Change(deletes=(f"jobs/{key}",)))
        else:
            world.tell(a, "up" if name == "up" else "down")


def scores(ground: Ground) -> list[dict[str, float]]:
    """By name, for hosts that are up: a host that is away has none."""
    columns = ground.columns
    found = [ground.scores(demand).tolist() for demand in DEMANDS]
    return [
        {n: score for n, score in zip(columns.names, of, strict=True) if columns.sites[columns.row[n]]} for of in found
    ]


def pretend(ground: Ground, facts: Facts, which: int, number: int) -> model.Assignment | None:
    """Count something on a host otherwise than the photo says: a job that is not there is taken, one that is there is
    released, or stops. The assignment that it would have."""
    host = HOSTS[which]
    a, state = facts.jobs.get(key := f"{host}/{host}-j{number}"), facts.states.get(key)
    if a is None:
        taken = model.Assignment(job=a_job(host, number), host=host, assigned=1.0)
        if host in facts.hosts and key not in ground._given:
            ground.take(taken)
            return taken
    elif key not in ground._given and not (state and state.state == "down"):
        ground.release(a, starting=state is None or state.state == "starting")
        if number % 2:
            ground.take(replace(a, stop=True))
    return None


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(ACTS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, JOBS - 1), st.booleans()))), max_size=5
    )
)
def test_what_is_followed_is_what_is_counted_anew(
    steps: list[tuple[list[tuple[str, int, int]], list[tuple[int, int, bool]]]],
) -> None:
    """Whatever was counted meanwhile, and whether that was done or not."""
    world, ground, seen = World(), Ground(), Facts()
    for acts, pretended in steps:
        for name, which, number in acts:
            act(world, name, which, number)
        ground.follow(seen, world.facts)
        seen = world.facts
        anew = Ground.of(world.facts)
        assert ground.said() == anew.said()
        assert scores(ground) == scores(anew)
        for which, number, done in pretended:
            a = pretend(ground, seen, which, number)
            if a and done:
                world.put(keys.job(a.host, a.job.id), a)
        if not pretended or pretended[0][2]:
            continue
        ground.restore()
        assert ground.said() == anew.said()


def test_needs_that_nobody_has_any_more_are_forgotten() -> None:
    world = World()
    world.host("a")
    ground = Ground.of(world.facts)
    scored = Demand(64, needs=Needs(tags=(("disk", "ssd"),)))
    ground.scores(scored)
    for number in range(3 * NEEDS):
        ground.fit(Needs(tags=(("rack", str(number)),)))
    assert len(ground._fits) <= NEEDS
    assert scored.needs in ground._fits
    act(world, "host", 0, 4)
    assert ground.follow(Facts(), world.facts).fit(scored.needs).tolist() == [True]


def test_a_job_that_is_taken_counts_as_one_that_is_assigned() -> None:
    world = World()
    world.host("a")
    ground = Ground.of(world.facts)
    given = [model.Assignment(job=a_job("a", number), host="a", assigned=1.0) for number in range(JOBS)]
    for a in given:
        ground.take(a)
        world.put(keys.job("a", a.job.id), a)
    assert ground.said() == Ground.of(world.facts).said()
    assert ground.writer("hello", "data") == "a-j3"


def test_the_load_of_a_host_changes_nothing() -> None:
    world = World()
    act(world, "host", 0, 4)
    ground = Ground.of(world.facts)
    before, columns = world.facts, ground.columns
    world.put(keys.host("a"), replace(before.hosts["a"], load=None))
    ground.follow(before, world.facts)
    assert ground.columns is columns


def test_what_was_counted_meanwhile_is_forgotten_with_the_next_photo() -> None:
    """Whether it came to be or not: the photo says so."""
    world = World()
    world.host("a")
    ground, before = Ground.of(world.facts), world.facts
    made, lost = (model.Assignment(job=a_job("a", number), host="a", assigned=1.0) for number in (1, 2))
    ground.take(made)
    ground.take(lost)
    ground.release(lost)
    ground.take(lost)
    world.put(keys.job("a", "j1"), made)
    assert ground.follow(before, world.facts).said() == Ground.of(world.facts).said()

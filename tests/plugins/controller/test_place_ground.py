"""What is counted on hosts: the same whether it is counted anew or followed change by change."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.place_ground import Ground
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


@settings(max_examples=200)
@given(st.lists(ACTS, max_size=5))
def test_what_is_followed_is_what_is_counted_anew(steps: list[list[tuple[str, int, int]]]) -> None:
    world, ground, seen = World(), Ground(), Facts()
    for acts in steps:
        for name, which, number in acts:
            act(world, name, which, number)
        ground.follow(seen, world.facts)
        seen = world.facts
        anew = Ground.of(world.facts)
        assert ground.said() == anew.said()
        assert scores(ground) == scores(anew)


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

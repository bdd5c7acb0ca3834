"""Batch jobs make way for services that fit nowhere else."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.plugins.controller.line import Line
from flynn.plugins.controller.place import Ground, place_queued
from flynn.plugins.controller.queue_limits import Queues
from tests.plugins.controller.world import World

APP = "hello"


def grid(**memory: int) -> World:
    """A grid whose hosts are full of what is put there; the app is there and has nothing yet."""
    world = World()
    for host, has in memory.items():
        world.host(host, memory=has)
    world.put(keys.app(APP), model.App(name=APP, created=1.0))
    return world


def batch(world: World, id: str, memory: int = 512, created: float = 1.0, begun: bool = True, **more: object) -> str:
    """A one-off job, placed; `begun` by its host."""
    job = model.Job(
        id=id, app=APP, type="run", queue="ephemeral", command="run", created=created, memory=memory
    )  # fmt: skip
    world.put(keys.queued("ephemeral", id), model.Queued(job=replace(job, **more)))
    world.settle()
    (a,) = [a for a in world.facts.jobs.values() if a.job.id == id]
    if begun:
        world.tell(a, "up")
    return a.host


def service(world: World, id: str, memory: int = 512, **more: object) -> None:
    job = model.Job(
        id=id, app=APP, type="web", queue="services", command="run", created=world.now, memory=memory
    )  # fmt: skip
    world.put(keys.queued("services", id), model.Queued(job=replace(job, **more)))


def place(world: World) -> list[str]:
    """Only what places do: there is no formation that asks for these services."""
    line = Line(world.facts, Queues(), world.now)
    changes = place_queued(world.facts, Ground.of(world.facts), line, world.now, line.tell)
    for change in changes:
        world.write(change)
    return [change.why for change in changes]


def stopped(world: World) -> dict[str, str]:
    return {a.job.id: a.reason for a in world.facts.jobs.values() if a.stop}


def host_of(world: World, id: str) -> str:
    return next((a.host for a in world.facts.jobs.values() if a.job.id == id), "")


def test_the_newest_makes_way_and_the_service_comes_after_it() -> None:
    world = grid(a=1024)
    batch(world, "old", created=1.0)
    batch(world, "new", created=2.0)
    service(world, "web-1")
    assert place(world) == ["start web-1 on a, where new made way"]
    assert stopped(world) == {"new": "made way for web-1"}
    assert world.facts.jobs["a/web-1"].after == ("new",)
    assert place(world) == []


def test_so_many_may_make_way_for_a_deploy_that_it_takes_more_than_a_commit() -> None:
    world = grid(a=8192, b=8192, c=8192, d=8192, e=8192)
    for number in range(5 * 28):
        batch(world, f"job-{number}", 290)
    release = world.release(APP, "web")
    world.put(keys.release(APP, 1), replace(release, processes={"web": model.ProcessType(command="run", memory=8000)}))
    world.put(keys.formation(APP), model.Formation(app=APP, counts={"web": 5}))
    world.put(keys.deploy(APP), model.Deploy(app=APP, old=0, new=1, started=world.now, stepped=world.now))
    world.settle()
    assert len(stopped(world)) == 5 * 28
    world.run()
    assert world.up(APP) == {(1, "web"): 5}


def test_one_that_was_not_begun_goes_back_to_its_queue() -> None:
    world = grid(a=512)
    batch(world, "job", begun=False)
    service(world, "web-1")
    place(world)
    assert (host_of(world, "web-1"), stopped(world)) == ("a", {})
    assert world.facts.jobs["a/web-1"].after == ()
    assert world.facts.queues["ephemeral/job"].reason == "made way for web-1"


def test_as_few_as_can_be_make_way() -> None:
    world = grid(a=1024, b=1024)
    batch(world, "large", memory=1024, created=1.0)
    for number in range(4):
        batch(world, f"small-{number}", memory=256, created=9.0)
    service(world, "web-1", memory=1024)
    place(world)
    assert list(stopped(world)) == ["large"]
    service(world, "web-2", memory=600)
    place(world)
    assert len(stopped(world)) == 4


def test_who_is_attached_and_what_is_no_batch_stays() -> None:
    world = grid(a=512)
    batch(world, "shell", attached=True)
    service(world, "web-1")
    place(world)
    assert (host_of(world, "web-1"), stopped(world)) == ("", {})
    world = grid(a=512)
    batch(world, "phase", type="release")
    service(world, "web-1")
    place(world)
    assert (host_of(world, "web-1"), stopped(world)) == ("", {})
    world = grid(a=512)
    service(world, "web-1")
    place(world)
    service(world, "web-2")
    place(world)
    assert (host_of(world, "web-2"), stopped(world)) == ("", {})


def test_nobody_makes_way_for_a_build_or_another_batch_job() -> None:
    world = grid(a=512)
    batch(world, "job")
    service(world, "build", queue="builders", type="build")
    service(world, "other", queue="ephemeral", type="run")
    place(world)
    assert stopped(world) == {}


def test_nobody_makes_way_where_the_service_may_not_be() -> None:
    world = grid(a=512)
    batch(world, "job")
    service(world, "web-1")
    tags = model.Placement(tags={"disk": "ssd"})
    world.put(keys.formation(APP), model.Formation(app=APP, counts={"web": 1}, placement={"web": tags}))
    place(world)
    assert stopped(world) == {}


def test_while_there_will_be_room_nobody_else_makes_way() -> None:
    world = grid(a=1024, b=512)
    batch(world, "large", memory=1024)
    batch(world, "other", memory=512)
    service(world, "web-1", memory=512)
    service(world, "web-2", memory=512)
    world.put("jobs/a/large", replace(world.facts.jobs["a/large"], stop=True))
    place(world)
    assert list(stopped(world)) == ["large"]
    world.tell(world.facts.jobs["a/large"], "down")
    place(world)
    assert (host_of(world, "web-1"), host_of(world, "web-2")) == ("a", "a")


def test_the_host_of_its_volume_is_the_only_one() -> None:
    world = grid(a=512, b=512)
    hosts = {batch(world, f"job-{number}"): number for number in range(2)}
    world.put(keys.volume(APP, "data"), model.Volume(app=APP, name="data", id="1", created=1.0, host="b"))
    service(world, "web-1", mounts=(model.Mount(path="/data", volume="data", id="1"),))
    place(world)
    assert host_of(world, "web-1") == "b"
    assert list(stopped(world)) == [f"job-{hosts['b']}"]


JOBS = st.lists(
    st.tuples(st.integers(1, 8), st.sampled_from(("batch", "shell", "web")), st.booleans(), st.integers(0, 2)),
    max_size=14,
)


@settings(max_examples=150)
@given(st.lists(st.integers(4, 12), min_size=1, max_size=3), JOBS)
def test_what_runs_at_once_is_never_more_than_a_host_has(
    machines: list[int], jobs: list[tuple[int, str, bool, int]]
) -> None:
    """Each that makes way does so once, for one that then has its place; and what is not batch is never stopped."""
    world = grid(**{f"h{n}": 100 * memory for n, memory in enumerate(machines)})
    for number, (size, kind, begun, ended) in enumerate(jobs):
        job = model.Job(
            id=f"{kind}-{number}", app=APP, type="web" if kind == "web" else "run", command="run",
            created=float(number), queue="services" if kind == "web" else "ephemeral", attached=kind == "shell",
            memory=100 * size,
        )  # fmt: skip
        world.put(keys.queued(job.queue, job.id), model.Queued(job=job))
        place(world)
        for a in list(world.facts.jobs.values())[:ended]:
            if a.stop:
                world.tell(a, "down")
        for key, a in list(world.facts.jobs.items()):
            if begun and key not in world.facts.states and not _waits(world, a):
                world.tell(a, "up")
        _check(world)
    for a in list(world.facts.jobs.values()):
        if a.stop:
            world.tell(a, "down")
    assert all(not _waits(world, a) for a in world.facts.jobs.values())


def _waits(world: World, a: model.Assignment) -> bool:
    """Whether its host does not begin it yet."""
    states = [world.facts.states.get(f"{a.host}/{id}") for id in a.after]
    return any(state is not None and state.state != "down" for state in states)


def _check(world: World) -> None:
    for host in world.facts.hosts.values():
        here = [a for key, a in world.facts.jobs.items() if a.host == host.name and not _down(world, key)]
        assert sum(a.job.memory for a in here if not _waits(world, a)) <= host.memory
        assert sum(a.job.memory for a in here if not a.stop) <= host.memory
    for a in world.facts.jobs.values():
        if a.stop:
            assert a.job.queue == "ephemeral"
            assert not a.job.attached
            assert a.reason.startswith("made way for web-")


def _down(world: World, key: str) -> bool:
    state = world.facts.states.get(key)
    return state is not None and state.state == "down"

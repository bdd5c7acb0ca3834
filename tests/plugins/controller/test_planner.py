"""What is planned from what has changed is what is planned from the whole photo, whatever happens to the grid.

Each plan of the world is made both ways and compared there (`world.py`); here it is led through all that can change,
with passes of which only a part could be committed.
"""

from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.plugins.controller import wishes
from flynn.plugins.controller.news import news
from flynn.plugins.controller.place import FRESH, TELL
from flynn.plugins.controller.planner import Planner
from tests.plugins.controller.world import World

APPS, HOSTS = ("one", "two"), ("a", "b", "c")


def app_of(number: int) -> str:
    return APPS[number % len(APPS)]


def host_of(number: int) -> str:
    return HOSTS[number % len(HOSTS)]


def part(world: World, number: int) -> None:
    """A pass of which some changes were overtaken: those whose bit is 0."""
    for place, change in enumerate(world.plan().changes):
        if number >> place % 8 & 1:
            world.write(change)


def whole(world: World, number: int) -> None:
    world.step()


def scale(world: World, number: int) -> None:
    if app_of(number) in world.facts.apps:
        counts = {"web": number % 5, "clock": number % 2}
        world.put(keys.formation(app_of(number)), model.Formation(app=app_of(number), counts=counts))


def deploy(world: World, number: int) -> None:
    app = app_of(number)
    running = world.facts.deploys.get(app)
    if app in world.facts.apps and not (running and running.state == "running"):
        world.deploy(app, "web", *(["clock"] if number % 3 else []))


def delete(world: World, number: int) -> None:
    if app_of(number) in world.facts.apps:
        world.write(Change(deletes=(keys.app(app_of(number)),)))


def create(world: World, number: int) -> None:
    if app_of(number) not in world.facts.apps:
        world.app(app_of(number), web=number % 4)


def one_off(world: World, number: int) -> None:
    world.number += 1
    queue: model.Queue = "builders" if number % 4 == 3 else "ephemeral"
    job = model.Job(
        id=f"{app_of(number)}-run-{world.number}", app=app_of(number), type="run", queue=queue, command="x",
        created=world.now, release=1, memory=100 * (1 + number % 9),
    )  # fmt: skip
    world.put(keys.queued(queue, job.id), model.Queued(job=job))
    if queue == "builders":
        made = model.Build(app=job.app, number=world.number, job=job.id, source="s", started=world.now)
        world.put(keys.build(job.app, made.number), made)


def cancel(world: World, number: int) -> None:
    if waiting := sorted(world.facts.queues):
        world.write(Change(deletes=(f"queues/{waiting[number % len(waiting)]}",)))


def told(world: World, number: int, state: model.State, **more: object) -> None:
    """A host says something of a job, with a clock that may be minutes off."""
    if jobs := sorted(world.facts.jobs.items()):
        _, a = jobs[number % len(jobs)]
        world.tell(a, state, **{"since": world.now + (number % 3 - 1) * 200, **more})


def forget(world: World, number: int) -> None:
    if states := sorted(world.facts.states):
        world.write(Change(deletes=(f"states/{states[number % len(states)]}",)))


def lose(world: World, number: int) -> None:
    if host_of(number) in world.facts.hosts:
        world.lose(host_of(number))


def change_host(world: World, number: int) -> None:
    """It tells its load, is full, or is full no more."""
    if host := world.facts.hosts.get(host_of(number)):
        load = model.Load(load=float(number), memory_free=number, disk_free=1, disk=2)
        full = ("" if host.full else "its disk is nearly full") if number % 2 else host.full
        world.put(keys.host(host.name), replace(host, load=load, full=full))


def drain(world: World, number: int) -> None:
    if host_of(number) in world.facts.hosts or host_of(number) in world.facts.wishes:
        name = host_of(number)
        if wishes.find(world.facts, name).drained:
            world.write(wishes.undrain(world.facts, name))
        else:
            world.write(wishes.drain(world.facts, name, number % 2 == 0, 30.0, world.now))


def volume(world: World, number: int) -> None:
    """One is made, told to go, or its data is gone."""
    app, key = app_of(number), keys.volume(app_of(number), "data")
    found = world.facts.volumes.get(f"{app}/data")
    if found is None:
        world.put(key, model.Volume(app=app, name="data", id=f"v{number}", created=world.now, host=host_of(number)))
    elif not found.deleting:
        stored = model.Stored(app=app, name="data", id=found.id, host=found.host, path="/x", since=world.now)
        world.put(keys.stored(found.host, app, "data"), stored)
        world.put(key, replace(found, deleting=True))
    else:
        world.write(Change(deletes=(keys.stored(found.host, app, "data"),)))


ACTS: dict[str, Callable[[World, int], None]] = {
    "part": part,
    "whole": whole,
    "obey": lambda world, number: world.obey(),
    "time": lambda world, number: setattr(world, "now", world.now + number),
    "scale": scale,
    "deploy": deploy,
    "delete": delete,
    "create": create,
    "one_off": one_off,
    "cancel": cancel,
    "up": lambda world, number: told(world, number, "up"),
    "crash": lambda world, number: told(world, number, "starting", failure="crash", restarts=number % 5, reason="died"),
    "unstartable": lambda world, number: told(world, number, "down", failure="start", reason="no such blob"),
    "built": lambda world, number: told(world, number, "down", exit_code=number % 2),
    "forget": forget,
    "lose": lose,
    "host": lambda world, number: world.host(host_of(number), 512 * (1 + number % 4)),
    "change_host": change_host,
    "drain": drain,
    "volume": volume,
}


def live(world: World) -> dict[tuple[str, int, str], int]:
    """The service jobs that are to stay, by app, release and type, with those queued."""
    counts: dict[tuple[str, int, str], int] = {}
    for key, a in world.facts.jobs.items():
        state = world.facts.states.get(key)
        if a.job.queue == "services" and not a.stop and not a.moving and not (state and state.state == "down"):
            slot = (a.job.app, a.job.release, a.job.type)
            counts[slot] = counts.get(slot, 0) + 1
    return counts


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 255)), max_size=40))
def test_what_is_kept_decides_what_the_photo_alone_decides(acts: list[tuple[str, int]]) -> None:
    """And no job is ever in two places, nor more than were ever asked for."""
    world = World()
    for host in HOSTS[:2]:
        world.host(host)
    world.app("one", web=2)
    for name, number in acts:
        ACTS[name](world, number)
        world.plan()
        queued = [q.job.id for q in world.facts.queues.values()]
        assigned = [a.job.id for a in world.facts.jobs.values()]
        assert len({*queued, *assigned}) == len(queued) + len(assigned)
        assert max(live(world).values(), default=0) <= 4


def test_a_host_that_tells_its_load_has_nothing_planned_anew() -> None:
    world = World()
    for host in HOSTS:
        world.host(host)
    world.app("one", web=3)
    world.run()
    kept = world.planner._kept.facts
    change_host(world, 4)
    assert not world.plan().changes
    assert not world.planner._apps
    assert world.planner._kept.facts is kept


def test_a_clock_that_is_wrong_holds_nothing_back_for_longer() -> None:
    """Jobs could not be started, ten minutes from now or ago as their host says: that counts as now."""
    world = World()
    world.host("a")
    world.app("one", web=1)
    world.run()
    for offset in (600.0, -600.0, 600.0):
        (a,) = [a for key, a in world.facts.jobs.items() if a.job.queue == "services"]
        world.tell(a, "down", failure="start", reason="no such blob", since=world.now + offset)
        world.settle()
        assert not world.facts.jobs
        assert "could not be started: no such blob" in world.plan().sentence
        wake = world.plan().wake
        assert wake is not None
        assert world.now < wake <= world.now + 30
        world.now = wake
        world.settle()


def test_a_host_whose_clock_is_ahead_holds_nothing_back_under_the_next_leader_either() -> None:
    world = World()
    world.host("a")
    world.app("one", web=1)
    world.run()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", failure="start", reason="no such blob", since=world.now + 600)
    world.planner = Planner(world.limits, world.new_id)
    world.settle()
    assert not world.facts.jobs
    wake = world.plan().wake
    assert wake is not None
    assert world.now < wake <= world.now + 30
    world.now = wake
    world.settle()
    assert world.facts.jobs


def test_reasons_behind_the_head_of_the_line_are_those_of_half_a_minute_ago_at_most() -> None:
    world = World()
    world.host("a", memory=100)
    for number in range(30):
        world.app(f"app{number:02}", web=1)
    world.settle()
    old = {queued.reason for queued in world.facts.queues.values()}
    assert old == {"no host has room for 128 MiB: a has 100 MiB of 100 free"}
    world.host("a", memory=90)
    world.now += 1
    world.settle()
    reasons = Counter(queued.reason for queued in world.facts.queues.values())
    new = "no host has room for 128 MiB: a has 90 MiB of 90 free"
    assert reasons == {new: FRESH, **dict.fromkeys(old, 10)}
    wake = world.plan().wake
    assert wake is not None
    assert wake <= world.now + TELL
    world.now = wake
    world.settle()
    assert {queued.reason for queued in world.facts.queues.values()} == {new}


def test_a_job_that_is_stopped_as_soon_as_it_has_a_host_is_replaced() -> None:
    """Before the leader has seen that it has one."""
    world = World()
    world.host("a", memory=130)
    world.app("hello", web=1)
    world.run()
    world.put(keys.formation("hello"), replace(world.facts.formations["hello"], counts={"web": 2}))
    world.settle()
    world.host("b")
    for change in world.plan().changes:
        world.write(change)
    (key,) = (key for key in world.facts.jobs if key.startswith("b/"))
    world.write(Change(puts={f"jobs/{key}": replace(world.facts.jobs[key], stop=True)}))
    assert any("start hello-web" in change.why for change in world.plan().changes)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 255), st.booleans()), max_size=30))
def test_where_there_is_no_news_the_plan_is_what_it_was(acts: list[tuple[str, int, bool]]) -> None:
    world = World()
    for host in HOSTS[:2]:
        world.host(host)
    world.app("one", web=2)
    for name, number, routed in acts:
        before, asked, now = world.plan(), news(world.facts), world.now
        ACTS[name](world, number)
        if routed:
            world.put(keys.router("a"), model.Router(host="a", revision=number))
        if not asked(world.facts) and world.now == now:
            after = world.plan()
            assert (after.sentence, after.wake, len(after.changes)) == (
                before.sentence,
                before.wake,
                len(before.changes),
            )


def test_what_hosts_tell_of_their_load_is_no_news() -> None:
    world = World()
    world.host("a")
    asked = news(world.facts)
    assert not asked(world.facts)
    for number in range(100):
        change_host(world, 3 * number * 2)
        assert not asked(world.facts)
    change_host(world, 3)
    assert asked(world.facts)
    assert not asked(world.facts)

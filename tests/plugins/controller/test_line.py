"""The line: services first, fair between apps, held to its limits, and nobody in it without a reason."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.controller.line import ORDER, Line
from flynn.plugins.controller.queue_limits import BuilderLimits, EphemeralLimits, QueueLimits, Queues
from flynn.plugins.controller.queue_view import queue_info, waiting_jobs
from tests.plugins.controller.world import World

WHY = "no host has room"

FREE = Queues(ephemeral=EphemeralLimits(starting_per_host=0), builders=BuilderLimits(starting_per_host=0))


def job(app: str, number: int, queue: model.Queue = "ephemeral", created: float = 0.0, memory: int = 128) -> model.Job:
    return model.Job(
        id=f"{app}-{queue}-{number}", app=app, type="run", queue=queue, command="x", created=created, memory=memory
    )


def photo(waiting: list[model.Job], running: list[model.Job] = (), up: bool = True) -> Facts:  # type: ignore[assignment]
    apps = {one.app for one in [*waiting, *running]}
    records: dict[str, model.Record] = {keys.app(app): model.App(name=app, created=0.0) for app in apps}
    records |= {keys.queued(one.queue, one.id): model.Queued(job=one) for one in waiting}
    for one in running:
        records[keys.job("h", one.id)] = model.Assignment(job=one, host="h", assigned=1.0)
        if up:
            records[keys.state("h", one.id)] = told(one, "up")
    return Facts.of(records)


def told(one: model.Job, state: model.State, since: float = 1.0, **more: object) -> model.JobState:
    made = model.JobState(
        id=one.id, app=one.app, type=one.type, queue=one.queue, release=one.release, host="h", state=state,
        since=since, created=one.created,
    )  # fmt: skip
    return replace(made, **more)


def order(
    facts: Facts, queues: Queues = FREE, fits: object = lambda job: True, now: float = 100.0
) -> tuple[list[str], Line]:
    """The ids of those tried, in order, where what `fits` gets a place."""
    line, tried = Line(facts, queues, now), []
    for queued in line:
        tried.append(queued.job.id)
        line.tell("" if fits(queued.job) else WHY)  # type: ignore[operator]
    return tried, line


def test_services_then_builds_then_the_rest() -> None:
    waiting = [job("a", n, queue, created=float(-n)) for n, queue in enumerate(reversed(ORDER))]
    assert order(photo(waiting))[0] == ["a-services-2", "a-builders-1", "a-ephemeral-0"]


def test_apps_take_turns_and_the_one_that_has_the_fewest_begins() -> None:
    waiting = [job("a", n, created=float(n)) for n in range(4)] + [job("b", n, created=9.0 + n) for n in range(2)]
    tried, _ = order(photo(waiting, [job("b", 9)]))
    assert tried == [f"{app}-ephemeral-{n}" for app, n in [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 1), ("a", 3)]]


def test_a_burst_of_one_app_does_not_hold_up_another() -> None:
    waiting = [job("a", n, created=float(n)) for n in range(10_000)] + [job("b", 0, created=20_000.0)]
    line = iter(Line(photo(waiting), FREE, 1.0))
    assert "b-ephemeral-0" in [next(line).job.id for _ in range(2)]


def test_what_is_like_one_that_found_no_place_is_tried_only_to_be_told_why() -> None:
    waiting = [job("a", 0), job("a", 1, created=1.0), job("a", 2, created=2.0, memory=1), job("b", 0, created=3.0)]
    facts = photo(waiting)
    assert order(facts, fits=lambda one: one.memory == 1)[0] == [
        *(f"a-ephemeral-{n}" for n in range(3)),
        "b-ephemeral-0",
    ]
    told = World(facts=facts)
    told.put(keys.queued("ephemeral", "a-ephemeral-1"), model.Queued(job=waiting[1], reason=WHY))
    tried, line = order(told.facts, fits=lambda one: one.memory == 1)
    assert tried == ["a-ephemeral-0", "a-ephemeral-2", "b-ephemeral-0"]
    assert not line.held


def test_a_queue_is_held_to_what_may_start_and_run() -> None:
    waiting = [job("a", n, created=float(n)) for n in range(5)]
    running = [job("a", 10 + n) for n in range(2)]
    for up, limits, most, why in (
        (True, EphemeralLimits(running=3), 1, "3 of the queue ephemeral are running, as many as may at once"),
        (False, EphemeralLimits(running=3), 1, "3 of the queue ephemeral are running, as many as may at once"),
        (False, EphemeralLimits(starting=3), 1, "3 of the queue ephemeral are starting, as many as may at once"),
        (True, EphemeralLimits(starting=3), 3, "3 of the queue ephemeral are starting, as many as may at once"),
        (
            True,
            EphemeralLimits(starting=4, running=2),
            0,
            "2 of the queue ephemeral are running, as many as may at once",
        ),
    ):
        tried, line = order(photo(waiting, running, up), Queues(ephemeral=limits))
        assert len(tried) == most
        assert [(q.job.id, said) for q, said in line.held] == [(f"a-ephemeral-{most}", why)]


def test_what_finds_no_place_takes_no_room_from_what_does() -> None:
    waiting = [job("a", n, created=float(n), memory=999) for n in range(3)] + [job("b", 0, created=5.0)]
    tried, _ = order(photo(waiting), Queues(ephemeral=EphemeralLimits(running=1)), lambda one: one.memory < 999)
    assert tried[-1] == "b-ephemeral-0"


def test_an_app_whose_jobs_could_not_be_started_pauses_ever_longer() -> None:
    waiting = [job("a", 0), job("b", 0)]
    facts = photo(waiting)
    for number, since in enumerate((90.0, 95.0, 99.0)):
        one = told(job("a", 90 + number), "down", since, failure="start", reason="no such blob")
        facts = with_state(facts, one)
    tried, line = order(facts, FREE, now=100.0)
    assert tried == ["b-ephemeral-0"]
    why = "the last 3 could not be started (no such blob); the next is tried after 1.5 s"
    assert [(q.job.app, said) for q, said in line.held] == [("a", why)]
    assert line.wake == 100.5
    assert order(facts, FREE, now=100.5)[0] == ["a-ephemeral-0", "b-ephemeral-0"]
    better = with_state(facts, told(job("a", 99), "up", 99.5))
    assert order(better, FREE, now=100.0)[0] == ["a-ephemeral-0", "b-ephemeral-0"]
    wrong_clock = with_state(photo(waiting), told(job("a", 90), "down", 1e9, failure="start"))
    assert len(order(wrong_clock, FREE)[0]) == 2
    many = photo(waiting)
    for number in range(100):
        many = with_state(many, told(job("a", 100 + number), "down", 99.0, failure="start", reason="x"))
    assert order(many)[1].wake == 129.0


def with_state(facts: Facts, state: model.JobState) -> Facts:
    world = World(facts=facts)
    world.put(keys.state("h", state.id), state)
    return world.facts


JOBS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(ORDER), st.integers(0, 9), st.sampled_from([1, 128, 999])),
    max_size=30,
)
LIMITS = st.builds(
    Queues,
    services=st.builds(QueueLimits, starting=st.integers(0, 3), running=st.integers(0, 3)),
    ephemeral=st.builds(EphemeralLimits, starting=st.integers(0, 3), running=st.integers(0, 3)),
    builders=st.builds(BuilderLimits, starting=st.integers(0, 3), running=st.integers(0, 3)),
)


def made(jobs: list[tuple[str, model.Queue, int, int]], base: int) -> list[model.Job]:
    return [job(app, base + n, queue, float(at), memory) for n, (app, queue, at, memory) in enumerate(jobs)]


@given(JOBS, JOBS, LIMITS, st.booleans())
def test_order_limits_and_reasons(
    waiting: list[tuple[str, model.Queue, int, int]],
    running: list[tuple[str, model.Queue, int, int]],
    limits: Queues,
    up: bool,
) -> None:
    """In the order of queues, each job at most once, never more than may start or run; whoever was not tried is behind
    one that is held, and everybody is told a reason."""
    jobs, begun = made(waiting, 0), made(running, 100)
    facts = photo(jobs, begun, up)
    by_id = {one.id: one for one in jobs}
    tried, line = order(facts, limits, lambda one: one.memory < 999)
    assert len(set(tried)) == len(tried)
    ranks = [ORDER.index(by_id[id].queue) for id in tried]
    assert ranks == sorted(ranks)
    given_out = Counter(by_id[id].queue for id in tried if by_id[id].memory < 999)
    there = Counter(one.queue for one in begun)
    held = {(q.job.queue, q.job.app) for q, _ in line.held}
    for queue in ORDER:
        most = limits.of(queue)
        if most.running:
            assert given_out[queue] <= max(most.running - there[queue], 0)
        if most.starting:
            assert given_out[queue] <= max(most.starting - (0 if up else there[queue]), 0)
        assert all(shown.reason for shown in waiting_jobs(facts, queue, limits, 100.0, 1000))
    for one in jobs:
        if one.id not in tried:
            assert (one.queue, one.app) in held


@given(JOBS, JOBS)
def test_no_app_is_given_more_while_another_with_fewer_waits(
    waiting: list[tuple[str, model.Queue, int, int]], running: list[tuple[str, model.Queue, int, int]]
) -> None:
    jobs, begun = made(waiting, 0), made(running, 100)
    have = Counter((one.queue, one.app) for one in begun)
    left = {one.id: one for one in jobs}
    for id in order(photo(jobs, begun))[0]:
        one = left.pop(id)
        rivals = {other.app for other in left.values() if other.queue == one.queue}
        assert all(have[one.queue, one.app] <= have[one.queue, app] for app in rivals)
        older = [other for other in left.values() if (other.queue, other.app) == (one.queue, one.app)]
        assert all((one.created, one.id) < (other.created, other.id) for other in older)
        have[one.queue, one.app] += 1


def test_a_queue_as_it_is_shown() -> None:
    waiting = [job("a", n, created=10.0 + n) for n in range(3)]
    facts = photo(waiting, [job("b", 7)])
    held = Queues(ephemeral=EphemeralLimits(running=1))
    info = queue_info(facts, "ephemeral", held, 100.0)
    assert (info.depth, info.oldest, info.starting, info.running) == (3, 10.0, 0, 1)
    assert info.head is not None
    assert (info.head.id, info.head.reason) == (
        "a-ephemeral-0", "1 of the queue ephemeral are running, as many as may at once",
    )  # fmt: skip
    assert info.limits["bound"] == 20_000
    world = World(facts=facts)
    world.put("queues/ephemeral/a-ephemeral-0", model.Queued(job=waiting[0], reason="no host is up"))
    shown = waiting_jobs(world.facts, "ephemeral", FREE, 100.0, 2)
    assert [one.reason for one in shown] == ["no host is up", "is in line behind a-ephemeral-0: no host is up"]
    assert queue_info(facts, "builders", FREE, 100.0).head is None


def test_ten_thousand_one_off_jobs_do_not_hold_up_the_restart_of_a_service() -> None:
    """In a full grid, in which as many batch jobs run as fit, the place that a service leaves is its own: it gets one
    in the next pass, which also queues it, before any of the thousands that wait."""
    world = World()
    world.host("a", memory=1024, cpus=4)
    world.app("web", web=1)
    world.run()
    for number in range(10_000):
        one = job("web", number, created=world.now)
        world.put(keys.queued("ephemeral", one.id), model.Queued(job=one))
    for _ in range(5):
        world.settle()
        world.obey()
    assert sum(a.job.queue == "ephemeral" for a in world.facts.jobs.values()) == 7
    service = next(a for a in world.facts.jobs.values() if a.job.queue == "services")
    world.tell(service, "down", reason="killed")
    waiting = len(world.facts.queues)
    world.step()
    assert [a.job.queue for key, a in world.facts.jobs.items() if key not in world.facts.states] == ["services"]
    assert len(world.facts.queues) == waiting


def test_so_many_of_a_queue_start_on_a_host_at_a_time() -> None:
    world = World()
    for host in "ab":
        world.host(host)
    world.app("web", web=0)
    for number in range(7):
        one = job("web", number, created=world.now)
        world.put(keys.queued("ephemeral", one.id), model.Queued(job=one))
    world.settle()
    assert sorted(a.host for a in world.facts.jobs.values()) == ["a", "a", "b", "b"]
    reasons = {queued.reason for queued in world.facts.queues.values()} - {""}
    assert reasons == {"a starts 2 of the queue ephemeral already; b starts 2 of the queue ephemeral already"}
    world.obey()
    world.settle()
    assert len(world.facts.jobs) == 7

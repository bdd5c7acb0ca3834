"""Why a job is where it is, or waits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.errors import NotFound
from flynn.plugins.controller.place_explain import explain_app, explain_job
from flynn.plugins.controller.scaling import Asked, scale
from tests.plugins.controller.world import World


def grid(**memory: int) -> World:
    world = World()
    for host, has in memory.items():
        world.host(host, memory=has)
    return world


def test_a_job_that_waits_is_told_of_by_each_host() -> None:
    world = grid(a=100, b=2048)
    world.app("hello", web=1)
    world.run()
    world.write(scale(world.facts, "hello", {"web": Asked(count=2, one_per_host=True)}))
    world.run()
    (queued,) = world.facts.queues.values()
    found = explain_job(world.facts, queued.job.id)
    assert (found.state, found.host, found.reason) == ("queued", "", queued.reason)
    assert {verdict.host: verdict.refusal for verdict in found.hosts} == {
        "a": "has 100 MiB of 100 free, 128 MiB asked",
        "b": "runs 1 web of hello already, as many as it may",
    }
    (of_app,) = explain_app(world.facts, "hello")
    assert of_app == found


def test_a_job_that_runs_is_scored_as_if_it_were_placed_anew() -> None:
    world = grid(a=2048, b=2048)
    world.app("hello", web=2)
    world.run()
    (_, a), (_, other) = sorted(world.facts.jobs.items())
    found = explain_job(world.facts, a.job.id)
    assert (found.state, found.host) == ("up", a.host)
    assert [(v.host, v.on_host, v.here) for v in found.hosts] == [(a.host, 0, True), (other.host, 1, False)]


def test_an_app_is_told_where_its_next_jobs_would_go() -> None:
    world = grid(a=2048, b=2048, small=64)
    world.app("hello", web=1, worker=0)
    world.run()
    (a,) = world.facts.jobs.values()
    other = "b" if a.host == "a" else "a"
    web, worker = explain_app(world.facts, "hello")
    assert (web.state, web.type, web.hosts[0].host) == ("next", "web", other)
    assert (worker.type, worker.hosts[0].host, worker.hosts[-1].host) == ("worker", a.host, "small")


def test_the_host_of_its_volume_is_the_only_one() -> None:
    world = grid(a=2048, b=2048)
    world.app("hello", web=0)
    world.run()
    world.put(keys.volume("hello", "data"), model.Volume(app="hello", name="data", id="1", created=1.0, host="b"))
    mount = model.Mount(path="/data", volume="data", id="1")
    job = model.Job(
        id="hello-db-1", app="hello", type="db", queue="services", command="run", created=1.0, mounts=(mount,)
    )
    world.put(keys.queued("services", job.id), model.Queued(job=job))
    found = explain_job(world.facts, job.id, world.limits.queues.per_host)
    assert [(v.host, v.refusal) for v in found.hosts] == [("b", ""), ("a", "has not its volume data, which is on b")]


def test_there_is_no_such_job() -> None:
    with pytest.raises(NotFound, match="no job 'hello-web-9' waits or runs"):
        explain_job(World().facts, "hello-web-9")


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(2, 16), st.sampled_from("xyz")), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 8)), min_size=1, max_size=25),
)
def test_where_the_next_one_would_go_is_where_it_goes(
    machines: list[tuple[int, str]], jobs: list[tuple[int, int]]
) -> None:
    """And once it is there, that host is named first."""
    world = World()
    for number, (memory, zone) in enumerate(machines):
        name = f"h{number}"
        world.put(keys.host(name), model.Host(
            name=name, address="x", url="x", started=1.0, memory=100 * memory, cpus=4, tags={"zone": zone},
        ))  # fmt: skip
    for number, (app, size) in enumerate(jobs):
        name = f"app{app}"
        world.put(keys.app(name), model.App(name=name, created=1.0))
        job = model.Job(
            id=f"j{number}", app=name, type="web", queue="ephemeral", command="run", created=float(number),
            memory=100 * size,
        )  # fmt: skip
        world.put(keys.queued("ephemeral", job.id), model.Queued(job=job))
        told = explain_job(world.facts, job.id, world.limits.queues.per_host).hosts
        world.settle()
        placed = [a.host for a in world.facts.jobs.values() if a.job.id == job.id]
        assert placed == [verdict.host for verdict in told[:1] if not verdict.refusal]
        assert not placed or explain_job(world.facts, job.id, world.limits.queues.per_host).hosts[0].host == placed[0]
        assert placed or explain_job(world.facts, job.id, world.limits.queues.per_host).reason

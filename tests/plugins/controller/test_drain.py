"""Drains: what is told beforehand is what happens; what is left says why."""

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.plugins.controller import decide, wishes
from flynn.plugins.controller.drain import Forecast, Staying, forecast, on_host, staying
from flynn.plugins.controller.hosts_api import done
from tests.plugins.controller.test_api import call, controlled, deploy
from tests.plugins.controller.test_moving import one_off, with_volume
from tests.plugins.controller.world import World


def grid(counts: list[int], memories: list[int]) -> World:
    """Hosts a, b, ... of so many MiB, and an app for each count of processes."""
    world = World()
    for number, memory in enumerate(memories):
        world.host("abcd"[number], memory)
    for number, count in enumerate(counts):
        world.app(f"app{number}", web=count)
        world.run()
    return world


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_what_is_told_beforehand_is_what_then_happens(counts: list[int], memories: list[int]) -> None:
    """Where all moves at once, each job goes to the very host; in any case as many stay as was said."""
    world = grid(counts, [memory * 128 for memory in memories])
    told = forecast(world.facts, "a", world.now)
    waiting = len(world.facts.queues)
    before = set(world.facts.jobs)
    world.write(wishes.drain(world.facts, "a", False, 60.0, world.now))
    world.run()
    assert len(list(on_host(world.facts, "a"))) == len(told.unplaced) + len(told.stays)
    if not told.unplaced and not waiting:
        new = sorted((a.job.app, a.host) for key, a in world.facts.jobs.items() if key not in before)
        assert new == sorted((one.app, one.to) for one in told.moves)


def test_a_forecast_names_all_that_is_there() -> None:
    world = grid([1, 1], [600, 256])
    one_off(world, "a")
    mounts = with_volume(world, "data", "app1", "a")
    job = model.Job(
        id="app1-db-1", app="app1", type="db", queue="services", command="x", created=world.now, mounts=mounts
    )
    world.put(keys.job("a", job.id), model.Assignment(job=job, host="a", assigned=world.now))
    big = model.Job(id="app1-big-1", app="app1", type="big", queue="services", command="x", created=1.0, memory=400)
    world.put(keys.job("a", big.id), model.Assignment(job=big, host="a", assigned=world.now))
    told = forecast(world.facts, "a", world.now)
    assert [(one.id, one.for_good) for one in told.stays] == [("app1-db-1", True)]
    assert [one.reason for one in told.stays] == ["has its volume data there"]
    assert [(one.id, one.reason) for one in told.ends] == [("hello-run-1", "a one-off job, is let end")]
    (stuck,) = told.unplaced
    assert stuck.id == "app1-big-1"
    assert "MiB" in stuck.reason
    assert "a takes no new job: it is drained" in stuck.reason
    assert {one.to for one in told.moves} <= {"b"}


def test_what_runs_on_every_host_ends_on_one_that_is_drained() -> None:
    """Nobody looks for another place for it; only what a volume binds stays."""
    world = grid([1], [512, 512])
    everywhere = model.Formation(app="app0", counts={"web": 1}, placement={"web": model.Placement(omni=True)})
    world.put(keys.formation("app0"), everywhere)
    world.run()
    (here,) = on_host(world.facts, "a")
    told = forecast(world.facts, "a", world.now)
    reason = "is of a type that runs on every host: it ends, and no other takes its place"
    assert told == Forecast("a", ends=(Staying(here.job.id, "app0", "web", reason),))
    before = {a.job.id for a in world.facts.jobs.values()}
    world.write(wishes.drain(world.facts, "a", False, 60.0, world.now))
    assert staying(world.facts, here).reason == reason
    world.run()
    assert {a.job.id for a in world.facts.jobs.values()} == before - {here.job.id}


def test_a_host_without_jobs_is_drained_at_once() -> None:
    world = grid([], [512, 512])
    assert forecast(world.facts, "a", 1.0) == Forecast("a")


def test_the_last_line_of_a_drain() -> None:
    world = grid([1], [512, 512])
    assert done(world.facts, "a", [], False) == {
        "kind": "done", "ok": False, "message": "a is drained no more: the drain was called off",
    }  # fmt: skip
    world.write(wishes.drain(world.facts, "a", False, 60.0, world.now))
    going, bound = Staying("x", "x", "web", "until the next one is up"), Staying("y", "y", "db", "has its volume", True)
    assert done(world.facts, "a", [going, bound], False) is None
    (end, late, nothing) = (
        done(world.facts, "a", [bound], False),
        done(world.facts, "a", [going, bound], True),
        done(world.facts, "a", [], False),
    )
    assert end == {
        "kind": "done", "ok": False, "message": "a still has 1 job: y has its volume (--force stops them)",
    }  # fmt: skip
    assert late is not None
    assert late["message"].startswith("a still has 2 jobs: x until the next one is up; y has its volume (the drain")
    assert nothing == {"kind": "done", "ok": True, "message": "a is drained: it has no job"}


def test_a_job_that_cannot_move_says_what_its_next_one_waits_for() -> None:
    world = grid([1], [512])
    world.write(wishes.drain(world.facts, "a", False, 60.0, world.now))
    world.run()
    (left,) = [staying(world.facts, known) for known in on_host(world.facts, "a")]
    assert left.reason == "the next one waits: a takes no new job: it is drained"


async def test_the_api_drains_and_tags(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node:
        await call(node, "POST", "/v1/apps", {"name": "hello"})
        await deploy(node, "hello")
        status, told = await call(node, "GET", "/v1/hosts/host-a/drain")
        assert status == 200
        assert [one["reason"] for one in told["unplaced"]] == ["host-a takes no new job: it is drained"]
        status, said = await call(node, "POST", "/v1/hosts/host-a/drain", {"timeout": 0.5})
        assert status == 200
        assert said[-1]["ok"] is False
        assert "the next one waits: host-a takes no new job: it is drained" in said[-1]["message"]
        (row,) = (await call(node, "GET", "/v1/hosts"))[1]
        assert row["drained"] > 0
        (job,) = [job for job in (await call(node, "GET", "/v1/apps/hello/jobs"))[1] if job["state"] == "up"]
        assert job["moving"] == "leaves host-a, which is drained"
        following = asyncio.create_task(call(node, "POST", "/v1/hosts/host-a/drain", {"timeout": 60}))
        await node.mirror.until(lambda facts: facts.wishes["host-a"].timeout == 60, 5)
        assert (await call(node, "DELETE", "/v1/hosts/host-a/drain"))[0] == 200
        assert (await following)[1][-1]["message"] == "host-a is drained no more: the drain was called off"
        status, wish = await call(node, "PATCH", "/v1/hosts/host-a/tags", {"set": {"disk": "ssd"}})
        assert (status, wish["tags"]) == (200, {"disk": "ssd"})
        (row,) = (await call(node, "GET", "/v1/hosts"))[1]
        assert (row["tags"], row["drained"]) == ({"disk": "ssd"}, 0.0)


async def test_what_is_no_good(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node:
        for method, path, body, status in (
            ("POST", "/v1/hosts/nobody/drain", {}, 404),
            ("GET", "/v1/hosts/nobody/drain", None, 404),
            ("DELETE", "/v1/hosts/nobody/drain", None, 404),
            ("POST", "/v1/hosts/host-a/drain", {"timeout": -1}, 422),
            ("POST", "/v1/hosts/host-a/drain", {"timeout": 1e9}, 422),
            ("POST", "/v1/hosts/host-a/drain", {"now": True}, 422),
            ("PATCH", "/v1/hosts/host-a/tags", {"set": {"A": "b"}}, 422),
            ("PATCH", "/v1/hosts/host-a/tags", {"remove": ["gone"]}, 422),
        ):
            assert (await call(node, method, path, body))[0] == status, (method, path, body)


def test_a_forecast_says_nothing_of_jobs_of_deleted_apps() -> None:
    world = World()
    world.host("a")
    world.host("b")
    world.app("hello", web=2)
    world.run()
    world.write(decide.delete_app(world.facts, "hello"))
    assert forecast(world.facts, "a", world.now).moves == ()

"""Cron over real HTTP, on a clock that is set: a tick, its run, its ledger, and the next leader."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.store import Delete, Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.queue_limits import EphemeralLimits, Queues
from tests.harness import TestNode, open_node
from tests.plugins.controller.test_api import SLUG, call

T0 = 1_800_000_000.0


class Clock:
    """It stands until it is set."""

    now = T0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(tmp_path: Path, clock: Clock) -> AsyncIterator[TestNode]:
    """One app with the entry `tick`; a host that does nothing by itself."""
    async with open_node(tmp_path) as node:
        node.clock = clock
        host = model.Host(name="host-a", address="127.0.0.1", url=node.url, started=0.0, memory=8192, cpus=4)
        await node.lease.put(keys.host("host-a"), host)
        entry = model.Cron(schedule="*/5 * * * *", command="bin/tick")
        types = {"worker": model.ProcessType(command="work")}
        release = model.Release(
            app="hello", version=1, created=T0, artifact=SLUG, processes=types, cron={"tick": entry}
        )
        app = model.App(name="hello", created=T0, release=1)
        await node.store.commit([Put(keys.app("hello"), encode(app)), Put(keys.release("hello", 1), encode(release))])
        async with node.running(Controller(ControllerConfig())):
            await node.mirror.until(lambda facts: "hello/tick" in facts.crons, 10)
            yield node


async def at(node: TestNode, clock: Clock, now: float) -> None:
    """The clock is set, and the leader has reason to look at it."""
    clock.now = now
    app = node.mirror.facts.apps["hello"]
    await node.store.commit([Put(keys.app("hello"), encode(replace(app, env={"NOW": f"{now}"})))])


def runs(facts: Facts) -> list[tuple[str, float]]:
    return [(run.outcome, run.due) for run in facts.crons["hello/tick"].runs]


async def down(node: TestNode, code: int) -> None:
    """The host says that all jobs have ended."""
    facts = await node.mirror.until(lambda facts: bool(facts.jobs), 10)
    for a in facts.jobs.values():
        state = model.JobState(
            id=a.job.id, app="hello", type=a.job.type, queue=a.job.queue, release=1, host="host-a", state="down",
            since=T0 + 301, created=T0 + 300, exit_code=code,
        )  # fmt: skip
        await node.lease.put(keys.state("host-a", a.job.id), state, leased=False)


async def test_a_tick_and_its_ledger(node: TestNode, clock: Clock) -> None:
    status, [row] = await call(node, "GET", "/v1/apps/hello/cron")
    assert (status, row["name"], row["schedule"], row["next"], row["last"]) == (
        200,
        "tick",
        "*/5 * * * *",
        T0 + 300,
        None,
    )
    await at(node, clock, T0 + 300)
    await down(node, 0)
    await node.mirror.until(lambda facts: runs(facts) == [("done", T0 + 300)], 10)
    _, [run] = await call(node, "GET", "/v1/apps/hello/cron/tick/runs")
    assert (run["started"], run["ended"], run["exit_code"]) == (T0 + 300, T0 + 300, 0)
    assert run["job"].startswith("hello-tick-")
    _, [row] = await call(node, "GET", "/v1/apps/hello/cron")
    assert (row["next"], row["last"]) == (T0 + 600, run)


async def test_one_start_though_the_leader_goes_at_every_moment(node: TestNode, clock: Clock) -> None:
    seen: set[str] = set()

    def note(facts: Facts) -> None:
        seen.update(key for key in (*facts.queues, *facts.jobs) if "-tick-" in key)

    with node.mirror.listening(note):
        for number in range(1, 6):
            await at(node, clock, T0 + 300 * number)
            for _ in range(3):
                await node.store.commit([Delete(keys.election("controller"))])
                await asyncio.sleep(0)
            await node.mirror.until(lambda facts, due=T0 + 300 * number: runs(facts)[-1:] == [("queued", due)], 20)  # type: ignore[misc]
            await down(node, 0)
            await node.mirror.until(lambda facts: runs(facts)[-1][0] == "done" and not facts.jobs, 20)
    assert len({key.rpartition("/")[2] for key in seen}) == 5
    assert runs(node.mirror.facts) == [("done", T0 + 300 * number) for number in range(1, 6)]


async def test_by_hand_paused_and_resumed(node: TestNode, clock: Clock) -> None:
    status, made = await call(node, "POST", "/v1/apps/hello/cron/tick/run")
    assert status == 201
    status, problem = await call(node, "POST", "/v1/apps/hello/cron/tick/run")
    assert (status, made["id"] in problem["message"]) == (409, True)
    await down(node, 3)
    await node.mirror.until(lambda facts: runs(facts) == [("failed", T0)], 10)
    status, row = await call(node, "PATCH", "/v1/apps/hello/cron/tick", {"paused": True})
    assert (status, row["paused"], row["next"]) == (200, True, None)
    status, row = await call(node, "PATCH", "/v1/apps/hello/cron/tick", {"paused": False})
    assert (status, row["paused"], row["next"]) == (200, False, T0 + 300)
    for path in ("cron/tock/runs", "cron/tock"):
        method = "PATCH" if path.endswith("tock") else "GET"
        status, problem = await call(node, method, f"/v1/apps/hello/{path}", {"paused": True})
        assert (status, "it has: tick" in problem["message"]) == (404, True)
    assert (await call(node, "PATCH", "/v1/apps/hello/cron/tick", {"pause": True}))[0] == 422


async def test_a_run_by_hand_is_refused_where_the_queue_is_full(tmp_path: Path) -> None:
    limits = Queues(ephemeral=EphemeralLimits(bound=1))
    entry, types = model.Cron(schedule="@daily", command="x"), {"worker": model.ProcessType(command="work")}
    release = model.Release(app="hello", version=1, created=T0, artifact=SLUG, processes=types, cron={"tick": entry})
    app = model.App(name="hello", created=T0, release=1)
    async with open_node(tmp_path) as node, node.running(Controller(ControllerConfig(queues=limits))):
        await node.store.commit([Put(keys.app("hello"), encode(app)), Put(keys.release("hello", 1), encode(release))])
        await node.mirror.until(lambda facts: "hello/tick" in facts.crons, 10)
        assert (await call(node, "POST", "/v1/apps/hello/run", {"command": "x", "detach": True}))[0] == 201
        status, problem = await call(node, "POST", "/v1/apps/hello/cron/tick/run")
        assert (status, problem["code"]) == (429, "queue_full")

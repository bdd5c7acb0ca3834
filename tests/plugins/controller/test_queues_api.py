"""The queues over HTTP: how they fare, their bound, jobs taken out of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.change import Change, commit
from flynn.core.config import load
from flynn.core.errors import Conflict, NotFound, StartError
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.cancel import CANCELLED, cancel
from flynn.plugins.controller.queue_limits import EphemeralLimits, Queues
from flynn.plugins.controller.queue_view import waiting_jobs
from tests.harness import TestNode, open_node
from tests.plugins.controller.test_api import call, deploy, obedient
from tests.plugins.controller.test_line import job, photo


@asynccontextmanager
async def controlled(data: Path, **ephemeral: int) -> AsyncIterator[TestNode]:
    """A controller with these limits, and an app."""
    queues = Queues(ephemeral=EphemeralLimits(**ephemeral))
    async with open_node(data) as node:
        host = asyncio.create_task(obedient(node))
        try:
            async with node.running(Controller(ControllerConfig(settle=0.0, queues=queues))):
                await call(node, "POST", "/v1/apps", {"name": "hello"})
                await deploy(node, "hello")
                yield node
        finally:
            host.cancel()


async def run(node: TestNode) -> str:
    status, told = await call(node, "POST", "/v1/apps/hello/run", {"command": "true", "detach": True})
    assert status == 201, told
    return str(told["id"])


async def test_a_full_queue_refuses_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with controlled(tmp_path, bound=2, running=1) as node:
        first = await run(node)
        await node.mirror.until(lambda facts: f"host-a/{first}" in facts.states, 5)
        waiting = [await run(node), await run(node)]
        body = {"command": "true", "detach": True}
        async with node.http.post(node.url + "/v1/apps/hello/run", json=body) as refused:
            told = await refused.json()
            assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert (told["code"], told["retry"]) == ("queue_full", True)
        assert told["message"].startswith("the queue ephemeral is full: 2 wait, and it takes 2; try again")
        why = "1 of the queue ephemeral are running, as many as may at once"
        await node.mirror.until(lambda facts: any(q.reason == why for q in facts.queues.values()), 5)
        queues = {queue["name"]: queue for queue in (await call(node, "GET", "/v1/queues"))[1]}
        found = queues["ephemeral"]
        assert (found["depth"], found["starting"], found["running"]) == (2, 0, 1)
        assert (found["head"]["id"], found["head"]["reason"]) == (waiting[0], why)
        assert (found["limits"]["bound"], found["limits"]["running"]) == (2, 1)
        detail = (await call(node, "GET", "/v1/queues/ephemeral"))[1]
        assert [one["id"] for one in detail["jobs"]] == waiting
        assert [one["reason"] for one in detail["jobs"]] == [why, why]
        assert len((await call(node, "GET", "/v1/queues/ephemeral?n=1"))[1]["jobs"]) == 1
        async with node.http.get(node.url + "/metrics") as metrics:
            text = await metrics.text()
        assert 'flynn_queue_waiting{queue="ephemeral"} 2' in text
        assert 'flynn_queue_running{queue="ephemeral"} 1' in text
        assert await call(node, "DELETE", f"/v1/queues/ephemeral/{waiting[0]}") == (200, {"id": waiting[0]})
        assert (await call(node, "DELETE", f"/v1/queues/ephemeral/{waiting[0]}"))[0] == 404
        status, told = await call(node, "DELETE", f"/v1/queues/ephemeral/{first}")
        assert (status, told["code"]) == (409, "conflict")
        assert await run(node)


async def test_a_job_cancelled_in_its_queue_tells_who_waits_for_it_at_once(tmp_path: Path) -> None:
    async with controlled(tmp_path, running=1) as node:
        first = await run(node)
        await node.mirror.until(lambda facts: f"host-a/{first}" in facts.states, 5)
        second = await run(node)
        attaching = asyncio.create_task(call(node, "GET", f"/v1/jobs/{second}/attach"))
        await asyncio.sleep(0.05)
        assert not attaching.done()
        assert (await call(node, "DELETE", f"/v1/jobs/{second}"))[0] == 200
        status, told = await asyncio.wait_for(attaching, 5)
        assert (status, told["message"]) == (404, f"{second} was not run: {CANCELLED}")


async def test_what_is_no_queue(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node:
        for method, path, status in (
            ("GET", "/v1/queues/others", 404),
            ("DELETE", "/v1/queues/others/x", 404),
            ("DELETE", "/v1/queues/ephemeral/x", 404),
            ("GET", "/v1/queues/ephemeral?n=many", 422),
        ):
            assert (await call(node, method, path))[0] == status, path


async def test_a_build_that_is_cancelled_in_its_queue_has_ended(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        one = job("a", 1, "builders")
        build = model.Build(app="a", number=4, job=one.id, source="0" * 64, started=1.0)
        records: dict[str, model.Record] = {
            keys.app("a"): model.App(name="a", created=1.0),
            keys.build("a", 4): build,
            keys.queued("builders", one.id): model.Queued(job=one),
        }
        facts = await node.mirror.reach(await commit(node.store, node.mirror.facts, Change(puts=records)))
        facts = await node.mirror.reach(await commit(node.store, facts, cancel(facts, "builders", one.id, 9.0)))
        assert not facts.queues
        ended = facts.builds["a/4"]
        assert (ended.state, ended.reason, ended.ended) == ("cancelled", "it was taken out of its queue", 9.0)


def test_only_what_waits_is_cancelled() -> None:
    facts = photo([job("a", 1)], [job("a", 2)])
    assert cancel(facts, "ephemeral", "a-ephemeral-1", 1.0).deletes == ("queues/ephemeral/a-ephemeral-1",)
    with pytest.raises(Conflict, match="has left its queue and is on h"):
        cancel(facts, "ephemeral", "a-ephemeral-2", 1.0)
    for queue in model.QUEUES:
        with pytest.raises(NotFound, match="no job 'x' waits in"):
            cancel(facts, queue, "x", 1.0)


@pytest.mark.parametrize("bad", ['{"ephemeral": {"running": -1}}', '{"services": {"bound": 3}}', '{"others": {}}'])
def test_what_is_no_limit_of_a_queue(bad: str) -> None:
    with pytest.raises(StartError, match=r"controller\.queues = .* is no good"):
        load({"controller": ControllerConfig}, flags={"controller.queues": bad})


def test_a_limit_that_is_set_leaves_the_others_as_they_are() -> None:
    told = load({"controller": ControllerConfig}, flags={"controller.queues": '{"ephemeral": {"running": 5}}'})
    limits = told.bricks["controller"].queues
    assert (limits.ephemeral.running, limits.ephemeral.bound, limits.ephemeral.starting_per_host) == (5, 20_000, 2)
    assert limits.per_host == {"ephemeral": 2, "builders": 1}


def test_a_job_that_waits_like_another_says_why_that_one_does() -> None:
    """Only the first of them is tried, and has the reason of now."""
    jobs = [job("a", number, "ephemeral") for number in range(3)]
    facts = photo(jobs)
    puts: dict[str, model.Record] = {
        keys.queued("ephemeral", one.id): model.Queued(job=one, reason=("new", "old", "")[number])
        for number, one in enumerate(sorted(jobs, key=lambda one: (one.created, one.id)))
    }
    facts = facts.imagined(puts, ())
    told = waiting_jobs(facts, "ephemeral", Queues(), 5.0, 10)
    assert [one.reason for one in told][:2] == ["new", "new"]
    assert told[2].reason.endswith(": new")

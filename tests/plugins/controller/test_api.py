"""The controller over real HTTP and a store in memory; a host that obeys at once stands in for the agent."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flynn.core import keys, model
from flynn.core.change import commit
from flynn.core.errors import Unavailable
from flynn.core.facts import encode
from flynn.core.store import Op, Put, Unchanged
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.releases import Draft, begin_deploy
from tests.core.outage import Line
from tests.harness import TestNode, open_node
from tests.plugins.host.test_clocks import Clock

SLUG = model.Artifact(sha256="a" * 64)


async def obedient(node: TestNode) -> None:
    """A host that starts what it is told to at once, fails what is named `bad`, and stops what shall stop."""
    host = model.Host(name="host-a", address="127.0.0.1", url=node.url, started=0.0, memory=8192, cpus=4)
    await node.lease.put(keys.host("host-a"), host)
    told: dict[str, str] = {}
    async for facts in node.mirror.photos():
        for a in facts.jobs.values():
            bad = "bad" in a.job.command
            state: model.State = "down" if a.stop else "starting" if bad else "up"
            if told.get(a.job.id) == state:
                continue
            told[a.job.id] = state
            if a.job.service and state != "starting":
                await register(node, a, up=state == "up")
            record = model.JobState(
                id=a.job.id, app=a.job.app, type=a.job.type, queue=a.job.queue, release=a.job.release, host="host-a",
                state=state, since=1.0, created=a.job.created, failure="boot" if bad else "",
                reason="did not listen on port 1 within 1 s" if bad else "",
            )  # fmt: skip
            await node.lease.put(keys.state("host-a", a.job.id), record, leased=False)


async def register(node: TestNode, a: model.Assignment, up: bool) -> None:
    """The job's process answers requests, or does no more."""
    key = keys.instance(a.job.service, a.job.id)
    if up:
        instance = model.Instance(
            id=a.job.id, service=a.job.service, address="127.0.0.1:1", host=a.host, job=a.job.id,
            meta={"app": a.job.app},
        )  # fmt: skip
        await node.lease.put(key, instance)
    else:
        await node.lease.delete(key)


@asynccontextmanager
async def controlled(data: Path) -> AsyncIterator[TestNode]:
    async with open_node(data) as node:
        host = asyncio.create_task(obedient(node))
        try:
            async with node.running(Controller(ControllerConfig(settle=0.0))):
                yield node
        finally:
            host.cancel()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with controlled(tmp_path) as opened:
        yield opened


async def call(node: TestNode, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status, and the JSON answer or the list of lines."""
    async with node.http.request(method, node.url + path, json=body) as response:
        text = await response.text()
        if response.content_type == "application/x-ndjson":
            return response.status, [json.loads(line) for line in text.splitlines()]
        return response.status, json.loads(text)


async def deploy(node: TestNode, app: str, command: str = "serve") -> None:
    """Begin the deploy of a release as an ended build would, and wait until it is over."""
    facts = node.mirror.facts
    types = {"web": model.ProcessType(command=command, serves=True), "worker": model.ProcessType(command="work")}
    change, version = begin_deploy(facts, app, Draft(SLUG, types, facts.apps[app].env, "test"), time.time())
    await commit(node.store, facts, change)
    await node.mirror.until(
        lambda f: (d := f.deploys.get(app)) is not None and d.new == version and d.state != "running", 10
    )


async def test_create_list_and_delete(node: TestNode) -> None:
    status, made = await call(node, "POST", "/v1/apps", {"name": "hello"})
    assert (status, made["name"], made["url"]) == (201, "hello", "http://hello.flynn.localhost")
    status, problem = await call(node, "POST", "/v1/apps", {"name": "hello"})
    assert (status, problem["code"]) == (409, "exists")
    assert [app["name"] for app in (await call(node, "GET", "/v1/apps"))[1]] == ["hello"]
    await deploy(node, "hello")
    _, told = await call(node, "DELETE", "/v1/apps/hello")
    assert told[-1]["ok"]
    facts = node.mirror.facts
    assert not facts.apps
    assert not facts.releases
    assert not facts.routes
    assert not facts.jobs


async def test_a_name_is_made_up(node: TestNode) -> None:
    status, made = await call(node, "POST", "/v1/apps")
    assert status == 201
    assert keys.check_name("app", made["name"])


@pytest.mark.parametrize("body", [{"nmae": "x"}, {"name": 1}, [], {"name": "A"}])
async def test_a_bad_body_is_refused(node: TestNode, body: Any) -> None:
    status, problem = await call(node, "POST", "/v1/apps", body)
    assert (status, problem["code"]) == (422, "invalid")


async def test_config_makes_a_release_and_rollback_takes_it_back(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    assert (await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"A": "1"}}))[1][-1]["ok"]
    await deploy(node, "hello")
    _, told = await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"B": "2"}, "unset": ["A"]})
    assert next(line["kind"] for line in told) == "release"
    assert told[-1]["message"].startswith("v2 of hello is up")
    assert (await call(node, "GET", "/v1/apps/hello/env"))[1] == {"B": "2"}
    _, told = await call(node, "POST", "/v1/apps/hello/rollback")
    assert told[-1]["version"] == 3
    assert (await call(node, "GET", "/v1/apps/hello/env"))[1] == {"A": "1"}
    _, releases = await call(node, "GET", "/v1/apps/hello/releases")
    assert [(r["version"], r["description"]) for r in releases] == [
        (3, "Rollback to v1"),
        (2, "Set B and Unset A"),
        (1, "test"),
    ]


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"1A": "x"}, "1A"),
        ({"PORT": "1"}, "PORT"),
        ({"FLYNN_X": "1"}, "FLYNN_X"),
        ({"A": "a\0b"}, "NUL"),
        ({"A": "x" * 131_070}, "128 KiB"),
        ({"A": "x" * 131_000, "B": "x" * 131_000, "C": "x" * 1000}, "256 KiB"),
    ],
)
async def test_bad_config_is_refused(node: TestNode, env: dict[str, str], word: str) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    status, problem = await call(node, "PATCH", "/v1/apps/hello/env", {"set": env})
    assert status == 422
    assert word in problem["message"]


async def test_a_deploy_that_fails_says_why_and_the_old_release_serves(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")
    await deploy(node, "hello", command="bad")
    _, shown = await call(node, "GET", "/v1/apps/hello")
    assert (shown["deploy"]["state"], shown["deploy"]["reason"]) == (
        "failed",
        "web did not listen on port 1 within 1 s",
    )
    assert shown["release"] == 1
    await node.mirror.until(lambda f: all(a.job.release == 1 for a in f.jobs.values()), 5)


async def test_scale_is_followed_until_it_is_done(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")
    _, told = await call(node, "PATCH", "/v1/apps/hello/formation", {"web": 3, "worker": 1})
    assert told[-1]["message"] == "hello runs web=3, worker=1"
    assert sum(line["kind"] == "job" and line["state"] == "up" for line in told) == 3
    for bad in ({"wbe": 1}, {"web": -1}, {"web": 10**6}, {"web": "x"}):
        assert (await call(node, "PATCH", "/v1/apps/hello/formation", bad))[0] == 422


async def test_a_killed_job_is_replaced(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")
    _, jobs = await call(node, "GET", "/v1/apps/hello/jobs")
    (web,) = [job for job in jobs if job["type"] == "web"]
    assert (await call(node, "DELETE", f"/v1/jobs/{web['id']}"))[0] == 200
    await node.mirror.until(
        lambda f: [s.state for k, s in f.states.items() if k in f.jobs and s.id != web["id"]] == ["up"], 5
    )
    assert (await call(node, "DELETE", "/v1/jobs/nosuch"))[0] == 404


async def test_routes(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    status, route = await call(node, "POST", "/v1/apps/hello/routes", {"domain": "WWW.Example.com", "path": "/api"})
    assert (status, route["domain"], route["service"]) == (201, "www.example.com", "hello-web")
    status, problem = await call(node, "POST", "/v1/apps/hello/routes", {"domain": "www.example.com", "path": "/api"})
    assert (status, problem["code"]) == (409, "exists")
    for bad in ("", "a b", "a..b", "-a.com", "a/b", "x" * 300):
        assert (await call(node, "POST", "/v1/apps/hello/routes", {"domain": bad}))[0] == 422
    assert (await call(node, "DELETE", f"/v1/routes/{route['id']}"))[0] == 200
    assert (await call(node, "DELETE", f"/v1/routes/{route['id']}"))[0] == 404


async def test_unknown_things_are_404(node: TestNode) -> None:
    for method, path in [
        ("GET", "/v1/apps/x"), ("DELETE", "/v1/apps/x"), ("GET", "/v1/apps/x/env"), ("PATCH", "/v1/apps/x/env"),
        ("GET", "/v1/apps/x/releases"), ("POST", "/v1/apps/x/rollback"), ("PATCH", "/v1/apps/x/formation"),
        ("GET", "/v1/apps/x/jobs"), ("GET", "/v1/apps/x/log"), ("GET", "/v1/nothing"),
    ]:  # fmt: skip
        assert (await call(node, method, path))[0] == 404, path


async def test_two_creates_at_once_make_one_app(node: TestNode) -> None:
    answers = await asyncio.gather(*(call(node, "POST", "/v1/apps", {"name": "hello"}) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 7


async def test_status_tells_of_every_node(node: TestNode) -> None:
    _, told = await call(node, "GET", "/v1/status")
    assert told["leader"] == "host-a"
    assert (await call(node, "GET", "/v1/hosts"))[1][0]["name"] == "host-a"
    queues = (await call(node, "GET", "/v1/queues"))[1]
    assert [(queue["name"], queue["depth"]) for queue in queues] == [("services", 0), ("ephemeral", 0), ("builders", 0)]


class Refusing(Line):
    """A line to the store that counts the commits it refused."""

    refused = 0

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        try:
            return await super().commit(ops, guards)
        except Unavailable:
            self.refused += 1
            raise


async def test_what_could_not_be_written_is_tried_again_soon_though_nothing_else_happens(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        store, line = node.store, Refusing(node.store)
        node.store = line
        async with node.running(Controller(ControllerConfig())):
            await node.mirror.until(lambda facts: facts.get(keys.election("controller")) is not None, 10)
            line.cut()
            release = model.Release(
                app="hello", version=1, created=0.0, artifact=SLUG, processes={"web": model.ProcessType(command="run")}
            )
            facts = {
                keys.app("hello"): model.App(name="hello", created=0.0, release=1),
                keys.formation("hello"): model.Formation(app="hello", counts={"web": 1}),
                keys.release("hello", 1): release,
            }
            await store.commit([Put(key, encode(record)) for key, record in facts.items()])
            async with asyncio.timeout(5):
                while not line.refused:
                    await asyncio.sleep(0.01)
            line.mend()
            await node.mirror.until(lambda facts: bool(facts.queues), 5)


async def test_limits_make_a_release(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    kept = (await call(node, "PATCH", "/v1/apps/hello/limits", {"set": {"web": {"memory": 256}}}))[1][-1]
    assert (kept["ok"], kept["message"]) == (True, "the limits are kept for what starts next")
    await deploy(node, "hello")
    _, told = await call(node, "PATCH", "/v1/apps/hello/limits", {"set": {"worker": {"pids": 100}}})
    assert told[-1]["message"].startswith("v2 of hello is up")
    _, limits = await call(node, "GET", "/v1/apps/hello/limits")
    assert (limits["web"]["memory"], limits["worker"]["pids"], limits["run"]["reserve"]) == (256, 100, 128)
    jobs = [a.job for a in node.mirror.facts.jobs.values() if a.job.queue == "services"]
    assert [(job.type, job.release, job.memory_limit) for job in jobs] == [("web", 1, 256)], "what is the same runs on"
    status, problem = await call(node, "PATCH", "/v1/apps/hello/limits", {"set": {"web": {"memory": "much"}}})
    assert (status, problem["code"]) == (422, "invalid")


async def test_no_host_is_lost_because_the_leaders_clock_is_set(tmp_path: Path) -> None:
    clock = Clock()
    async with open_node(tmp_path) as node:
        node.clock = clock
        host = asyncio.create_task(obedient(node))
        async with node.running(Controller(ControllerConfig(settle=0.0))) as ctx:
            await call(node, "POST", "/v1/apps", {"name": "hello"})
            await deploy(node, "hello")
            host.cancel()
            before = node.mirror.facts.jobs
            assert before
            await node.mirror.reach(await node.lease.delete(keys.host("host-a")))
            await asyncio.sleep(0.2)
            clock.off = 3600.0
            await call(node, "POST", "/v1/apps", {"name": "other"})
            await asyncio.sleep(0.3)
            assert node.mirror.facts.jobs == before
            assert "lost" not in ctx.sentence

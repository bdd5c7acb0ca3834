"""What hosts tell of their jobs, put together: those that answer, and those that do not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Put
from flynn.core.usage import HostUsage, JobUsage, Told
from flynn.core.web import Route, answer
from flynn.plugins.controller import usage
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.harness import TestNode, open_node
from tests.ports import free_port

MACHINE = HostUsage(cpus=2, load=(0.5, 0.4, 0.3), memory=8 << 30, memory_free=5 << 30, disk=9, disk_free=4)
JOB = JobUsage(cpu=1.5, percent=12.0, memory=34 << 20, limit=512 << 20)


def job(app: str, host: str) -> Put:
    id = f"{app}-web-{host}"
    made = model.Job(id=id, app=app, type="web", queue="services", command="", created=1.0)
    return Put(keys.job(host, id), encode(model.Assignment(job=made, host=host, assigned=1.0)))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    """Hosts a and odd answer, slow and closed do not, gone is not up; hello has a job on each, other has one on a."""
    async with open_node(tmp_path) as node:
        apps = [Put(keys.app(name), encode(model.App(name=name, created=1.0))) for name in ("hello", "other", "none")]
        jobs = [job("hello", host) for host in ("a", "odd", "slow", "closed", "gone")]
        await node.store.commit([*apps, *jobs, job("other", "a")])
        for name in ("a", "odd", "slow"):
            await node.lease.put(keys.host(name), model.Host(name=name, address="", url=node.url, started=0.0))
        closed = model.Host(name="closed", address="", url=f"http://127.0.0.1:{free_port()}", started=0.0)
        await node.lease.put(keys.host("closed"), closed)

        async def used(request: web.Request, host: str) -> web.Response:
            if host == "slow":
                await asyncio.sleep(30)
            if host == "odd":
                return answer({"host": "what?"})
            app = request.query.get("app")
            return answer(Told(host=MACHINE, jobs={f"{app}-web-{host}": JOB} if app else {}))

        with node.web.serving(Route("GET", "/v1/hosts/{host}/usage", used, "what is taken", Any, query=None)):
            async with node.running(Controller(ControllerConfig())):
                await node.mirror.until(lambda facts: len(facts.hosts) == 4 and len(facts.jobs) == 6, 10)
                yield node


async def ask(node: TestNode, path: str) -> tuple[int, Any]:
    async with node.http.get(node.url + path) as response:
        return response.status, await response.json()


async def test_who_does_not_answer_is_named_and_holds_up_nobody(
    node: TestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "ANSWER", 1.5)
    status, told = await ask(node, "/v1/apps/hello/usage")
    assert status == 200
    assert told["jobs"].keys() == {"hello-web-a"}
    assert told["jobs"]["hello-web-a"]["percent"] == 12.0
    assert told["silent"].pop("closed").startswith("it does not answer: Cannot connect")
    assert told["silent"] == {
        "gone": "it is not up",
        "odd": "its answer is not understood; is its daemon of another version?",
        "slow": "it does not answer within 1.5 s",
    }


async def test_only_hosts_with_jobs_of_the_app_are_asked(node: TestNode) -> None:
    status, told = await ask(node, "/v1/apps/other/usage")
    assert (status, told["jobs"].keys(), told["silent"]) == (200, {"other-web-a"}, {})
    assert await ask(node, "/v1/apps/none/usage") == (200, {"jobs": {}, "silent": {}})
    assert (await ask(node, "/v1/apps/nothing/usage"))[0] == 404


async def test_a_host_by_itself(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "ANSWER", 1.5)
    status, told = await ask(node, "/v1/hosts/a")
    assert (status, told["name"], told["jobs"], told["reserved"], told["silent"]) == (200, "a", 2, 256, "")
    assert told["usage"]["memory_free"] == 5 << 30
    status, told = await ask(node, "/v1/hosts/slow")
    assert (status, told["jobs"], told["usage"]) == (200, 1, None)
    assert told["silent"] == "it does not answer within 1.5 s"
    status, told = await ask(node, "/v1/hosts/gone")
    assert (status, told["message"]) == (404, "there is no host gone now; `flynn host` lists those that are up")

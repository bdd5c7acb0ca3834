"""Log sinks by the API: which are taken, what is told of them, and that they go with their app."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Delete, Put
from flynn.core.web import Route, answer
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.harness import TestNode, open_node

PROGRESS = {"sent": 9, "dropped": 1, "behind": 3, "problem": ""}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node:
        await node.store.commit([Put(keys.app("hello"), encode(model.App(name="hello", created=1.0)))])
        host = model.Host(name="host-a", address="127.0.0.1", url=node.url, started=0.0)
        await node.lease.put(keys.host("host-a"), host)

        async def sinks(request: Any, host: str) -> Any:
            return answer(dict.fromkeys(node.mirror.facts.sinks, PROGRESS))

        with node.web.serving(Route("GET", "/v1/hosts/{host}/sinks", sinks, "how they fare", Any)):
            async with node.running(Controller(ControllerConfig())):
                await node.mirror.until(lambda f: "hello" in f.apps and "host-a" in f.hosts, 10)
                yield node


async def call(node: TestNode, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with node.http.request(method, f"{node.url}/v1/sinks{path}", json=body) as response:
        return response.status, await response.json()


async def test_a_sink_comes_and_goes(node: TestNode) -> None:
    wanted = {"url": "https://me:word@logs.example:1/in?key=x", "app": "hello", "options": {"header.X-Key": "k"}}
    status, made = await call(node, "POST", "", wanted)
    assert (status, made["app"]) == (201, "hello")
    assert made["url"] == "https://***@logs.example:1/in?***"
    assert made["options"] == {"header.X-Key": "***"}
    assert node.mirror.facts.sinks[made["id"]].url == wanted["url"]
    assert await call(node, "GET", "") == (200, [{**made, "hosts": {"host-a": PROGRESS}}])
    assert (await call(node, "DELETE", f"/{made['id']}"))[0] == 200
    assert await call(node, "GET", "") == (200, [])
    assert (await call(node, "DELETE", f"/{made['id']}"))[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"url": "ftp://x"}, 422, "known are: http://, https://, syslog://, syslog+tls://"),
        ({"url": "syslog"}, 422, "is no URL of a sink"),
        ({"url": "syslog://h", "options": {"a": "b"}}, 422, "'a' is unknown"),
        ({"url": "syslog://h", "app": "nothing"}, 404, "there is no app"),
        ({"url": "syslog://" + "h" * 70_000}, 422, "too long"),
        ({"url": "syslog://h", "colour": 1}, 422, "unknown field"),
    ],
)
async def test_what_is_no_sink_is_refused(node: TestNode, body: Any, status: int, told: str) -> None:
    answered = await call(node, "POST", "", body)
    assert answered[0] == status
    assert told in answered[1]["message"]


async def test_the_sinks_of_an_app_go_with_it(node: TestNode) -> None:
    await call(node, "POST", "", {"url": "syslog://h", "app": "hello"})
    _, kept = await call(node, "POST", "", {"url": "syslog://h"})
    await node.store.commit([Delete(keys.app("hello"))])
    await node.mirror.until(lambda f: list(f.sinks) == [kept["id"]], 10)

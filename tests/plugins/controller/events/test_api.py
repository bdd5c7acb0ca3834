"""Events over real HTTP: told once, followed, gone on with after a broken connection, and the jobs of before."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Delete, Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.events.history import Bounds, written
from tests.harness import TestNode
from tests.plugins.controller.test_api import call, controlled, deploy

Sent = tuple[int, str, Any]
"""A server-sent event: its id, its name, its data."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with controlled(tmp_path) as opened:
        await call(opened, "POST", "/v1/apps", {"name": "hello"})
        await deploy(opened, "hello")
        await told(opened, "release v1 of hello serves")
        yield opened


async def told(node: TestNode, text: str) -> model.Event:
    """Wait until this has been told."""

    def found(facts: Any) -> list[model.Event]:
        return [event for page in facts.events.values() for event in page.events if event.text == text]

    return found(await node.mirror.until(lambda facts: bool(found(facts)), 10))[-1]


async def events(node: TestNode, query: str = "") -> list[dict[str, Any]]:
    status, lines = await call(node, "GET", f"/v1/events{query}")
    assert status == 200
    found: list[dict[str, Any]] = lines
    return found


@asynccontextmanager
async def stream(node: TestNode, query: str = "", last: int | None = None) -> AsyncIterator[AsyncIterator[Sent]]:
    """The server-sent events of a connection that stays open."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": str(last)})
    async with node.http.get(f"{node.url}/v1/events?follow=true{query}", headers=headers) as response:
        assert response.content_type == "text/event-stream"
        yield _sent(response)


async def _sent(response: aiohttp.ClientResponse) -> AsyncIterator[Sent]:
    parts: dict[str, str] = {}
    async for raw in response.content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name in ("id", "event", "data"):
            parts[name] = value
        elif not name and "data" in parts:
            yield int(parts["id"]), parts["event"], json.loads(parts["data"])
            parts = {}


async def test_what_happened_is_told_in_order(node: TestNode) -> None:
    found = await events(node)
    assert [event["id"] for event in found] == list(range(1, len(found) + 1))
    texts = [event["text"] for event in found]
    for text in (
        "host-a joins, with 8192 MiB and 4 CPUs for jobs ()",
        "host-a leads the controller",
        "the app hello is created",
        "hello.flynn.localhost is routed to hello-web",
        "release v1 of hello is made: test",
        "hello is deployed: v1",
        "hello shall run web=1 worker=0",
        "the deploy of hello to v1 is complete",
        "release v1 of hello serves",
    ):
        assert texts.count(text) == 1, (text, texts)
    [up] = [event for event in found if event["what"] == "up"]
    assert (up["kind"], up["app"], up["data"]["host"], up["data"]["state"]) == ("job", "hello", "host-a", "up")


async def test_some_are_asked_for(node: TestNode) -> None:
    everything = await events(node)
    assert {event["kind"] for event in await events(node, "?kind=job,deploy")} == {"job", "deploy"}
    assert await events(node, "?app=other") == []
    assert all(event["app"] == "hello" for event in await events(node, "?app=hello"))
    assert await events(node, "?n=2") == everything[-2:]
    assert await events(node, "?n=0") == []
    assert await events(node, f"?after={everything[2]['id']}") == everything[3:]
    assert await events(node, f"?before={everything[2]['id']}") == everything[:2]
    assert await events(node, "?since=2099-01-01") == []
    status, one = await call(node, "GET", f"/v1/events/{everything[3]['id']}")
    assert (status, one) == (200, everything[3])


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("?kind=jobs", 422, "known are: leader, host"),
        ("?n=-1", 422, "n=-1"),
        ("?n=99999999", 422, "`int` <= 10000"),
        ("?since=soon", 422, "is no time"),
        ("?after=x", 422, "after=x"),
        ("?follow=maybe", 422, "write true or false"),
        ("/x", 422, "is no id of an event"),
        ("/99999", 404, "there are 1 to"),
    ],
)
async def test_what_cannot_be_asked_for(node: TestNode, path: str, status: int, word: str) -> None:
    answered, problem = await call(node, "GET", f"/v1/events{path}")
    assert answered == status
    assert word in problem["message"]


async def test_a_broken_stream_goes_on_without_a_gap_and_without_one_twice(node: TestNode) -> None:
    seen: list[Sent] = []
    for number in range(4):
        last = seen[-1][0] if seen else None
        async with stream(node, last=last) as sent, asyncio.timeout(20):
            await call(node, "POST", "/v1/apps", {"name": f"one-{number}"})
            wanted = f"the app one-{number} is created"
            async for event in sent:
                seen.append(event)
                if event[2]["text"] == wanted:
                    break
        await call(node, "POST", "/v1/apps", {"name": f"away-{number}"})
        await told(node, f"the app away-{number} is created")
    async with stream(node, last=seen[-1][0]) as sent, asyncio.timeout(20):
        async for event in sent:
            seen.append(event)
            if event[2]["text"] == "the app away-3 is created":
                break
    assert [id for id, _, _ in seen] == list(range(1, len(seen) + 1))
    assert all(name == data["kind"] and id == data["id"] for id, name, data in seen)
    texts = [data["text"] for _, _, data in seen]
    for number in range(4):
        assert texts.count(f"the app one-{number} is created") == texts.count(f"the app away-{number} is created") == 1


async def test_a_reader_is_told_what_is_missing(node: TestNode) -> None:
    async with stream(node, "&n=0") as sent, asyncio.timeout(20):
        facts = node.mirror.facts
        many = [model.Event(id=0, time=1.0, kind="app", name="x", what="x", text="x", app="x")] * 50
        [change] = written(facts, many, facts.revision, 1.0, bounds=Bounds(kept=20))
        await node.store.commit(change.ops())
        async for id, name, data in sent:
            assert (name, data["count"]) == ("lost", 30)
            assert id == data["after"] + 30
            break
        async for _, _, data in sent:
            assert data["text"] == "x"
            break


async def test_another_leader_goes_on_where_the_last_one_ended(node: TestNode, tmp_path: Path) -> None:
    """The election is taken away in the midst of changes; the brick stands again and tells the rest."""
    for number in range(3):
        await call(node, "POST", "/v1/apps", {"name": f"app-{number}"})
        await node.store.commit([Delete(keys.election("controller"))])
        await call(node, "POST", "/v1/apps", {"name": f"late-{number}"})
        await told(node, f"the app late-{number} is created")
    texts = [event["text"] for event in await events(node, "?n=1000")]
    for number in range(3):
        assert texts.count(f"the app app-{number} is created") == texts.count(f"the app late-{number} is created") == 1
    assert len(set(texts)) == len(texts) - texts.count("host-a leads the controller") + 1


async def test_a_brick_that_starts_again_tells_what_happened_meanwhile(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node:
        await call(node, "POST", "/v1/apps", {"name": "hello"})
        await told(node, "the app hello is created")
        store, mirror = node.store, node.mirror
        before = [event.text for page in mirror.facts.events.values() for event in page.events]
    await store.commit(
        [Put(keys.app("later"), encode(model.App(name="later", created=2.0))), Delete(keys.app("hello"))]
    )
    from tests.harness import open_node

    async with open_node(tmp_path, store) as node, node.running(Controller(ControllerConfig())):
        await told(node, "the app later is created")
        await told(node, "the app hello is deleted")
        texts = [event["text"] for event in await events(node, "?n=1000&kind=app")]
        assert sorted(texts) == sorted(
            [text for text in before if "the app" in text] + ["the app later is created", "the app hello is deleted"]
        )


async def test_the_jobs_of_before(node: TestNode) -> None:
    _, [now] = await call(node, "GET", "/v1/apps/hello/jobs")
    [up] = [event for event in await events(node, "?kind=job") if event["what"] == "up"]
    await call(node, "PATCH", "/v1/apps/hello/formation", {"web": 0})
    await told(node, f"job {now['id']} has ended on host-a")
    assert (await call(node, "GET", "/v1/apps/hello/jobs"))[1] == []
    # The host of these tests says of whatever happens that it did at 1.0, so all that is known has ended by then.
    at = (await events(node))[0]["time"] + 0.001
    assert await call(node, "GET", f"/v1/apps/hello/jobs?at={at:.6f}") == (200, [])
    status, [row] = await call(node, "GET", f"/v1/apps/hello/jobs?at={at:.6f}&all=true")
    assert (status, row["id"], row["state"], row["host"]) == (200, now["id"], "down", "host-a")
    assert up["name"] == now["id"]
    status, problem = await call(node, "GET", "/v1/apps/hello/jobs?at=2020-01-01")
    assert status == 422
    assert "is not known any more: the history begins" in problem["message"]
    status, problem = await call(node, "GET", "/v1/apps/hello/jobs?at=2099-01-01")
    assert (status, "is yet to come" in problem["message"]) == (422, True)

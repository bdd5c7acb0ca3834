"""Lists that are watched: the list, then each change, and no change lost when a connection breaks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Delete, Op, Put
from flynn.core.watched import PHOTOS, WATCHERS, Watch, Watched, changes, encoded, whole
from flynn.core.web import Route
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.harness import TestNode, open_node

ROWS = st.dictionaries(st.sampled_from("abcdé"), st.integers(0, 2))


@given(ROWS, st.lists(ROWS, max_size=4))
def test_who_applies_each_change_has_the_list(first: dict[str, int], later: list[dict[str, int]]) -> None:
    before, seen = encoded(first), dict(first)
    [(kind, revision, line)] = whole(1, before)
    assert (kind, revision, msgspec.json.decode(line)["items"]) == ("list", 1, [*first.values()])
    for number, rows in enumerate(later, 2):
        *told, last = changes(number, before, encoded(rows))
        assert (last[0], last[1]) == ("current", number)
        for kind, revision, line in told:
            change = msgspec.json.decode(line)
            assert (change["kind"], revision) == (kind, 0), "nobody can go on from the middle of a step"
            assert change["id"] in ({*seen} - {*rows} if kind == "gone" else rows)
            seen = {id: row for id, row in seen.items() if id != change["id"]}
            seen |= {change["id"]: change["item"]} if kind == "item" else {}
        assert seen == rows
        before = encoded(rows)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node, node.running(Controller(ControllerConfig())), asyncio.timeout(60):
        await write(node, Put(keys.app("hello"), encode(model.App(name="hello", created=1.0))))
        yield node


async def write(node: TestNode, *ops: Op) -> None:
    await node.mirror.reach(await node.store.commit(ops))


def route(id: str, **options: Any) -> Put:
    return Put(keys.route(id), encode(model.Route(id=id, service="hello-web", app="hello", domain=id, **options)))


class Watcher:
    """One who watches, line by line; `at`: what it could go on from."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response, self.at = response, 0

    async def next(self) -> dict[str, Any]:
        line: dict[str, Any] = msgspec.json.decode(await self.response.content.readline())
        self.at = line.get("revision", self.at)
        return line

    async def step(self) -> list[tuple[str, str]]:
        """All lines up to the next `current`: kind and id."""
        found = []
        while (line := await self.next())["kind"] != "current":
            found.append((line["kind"], line["id"]))
        return found


@asynccontextmanager
async def watching(node: TestNode, path: str, query: str = "", **headers: str) -> AsyncIterator[Watcher]:
    async with node.http.get(f"{node.url}{path}?watch=true{query}", headers=headers) as response:
        assert response.status == 200
        yield Watcher(response)


async def test_a_list_comes_first_and_then_each_change(node: TestNode) -> None:
    await write(node, route("a.test"))
    async with watching(node, "/v1/apps/hello/routes") as watcher, watching(node, "/v1/routes") as all:
        for each in (watcher, all):
            first = await each.next()
            assert (first["kind"], [row["id"] for row in first["items"]]) == ("list", ["a.test"])
        await write(node, route("b.test"))
        assert await watcher.step() == await all.step() == [("item", "b.test")]
        await write(node, Put(keys.sink("s"), encode(model.Sink(id="s", url="x", created=1.0))))
        await write(node, Delete(keys.route("a.test")), route("b.test", sticky=True))
        assert await watcher.step() == await all.step() == [("gone", "a.test"), ("item", "b.test")]
        facts = node.mirror.facts
        assert facts.unchanged(keys.route("b.test")).revision <= watcher.at <= facts.revision


async def test_a_watcher_goes_on_where_it_was(node: TestNode) -> None:
    async with watching(node, "/v1/routes") as watcher:
        await watcher.next()
        await write(node, route("a.test"))
        await watcher.step()
    await write(node, route("b.test"))
    await write(node, Delete(keys.route("a.test")))
    async with watching(node, "/v1/routes", f"&after={watcher.at}") as again:
        assert await again.step() == [("gone", "a.test"), ("item", "b.test")]
        await write(node, route("c.test"))
        assert await again.step() == [("item", "c.test")]
    async with watching(node, "/v1/routes", "&after=1") as stranger:
        assert [row["id"] for row in (await stranger.next())["items"]] == ["b.test", "c.test"]


async def test_server_sent_events_are_resumed_by_their_id(node: TestNode) -> None:
    async def event(response: aiohttp.ClientResponse) -> Mapping[str, str]:
        text = (await response.content.readuntil(b"\n\n")).decode().strip()
        return dict(line.split(": ", 1) for line in text.splitlines())

    accept = {"Accept": "text/event-stream"}
    async with watching(node, "/v1/routes", **accept) as watcher:
        assert watcher.response.content_type == "text/event-stream"
        first = await event(watcher.response)
        assert first["event"] == "list"
    await write(node, route("a.test"))
    async with watching(node, "/v1/routes", **accept, **{"Last-Event-ID": first["id"]}) as watcher:
        changed, current = await event(watcher.response), await event(watcher.response)
        assert (changed["event"], "id" in changed, current["event"]) == ("item", False, "current")
        assert int(first["id"]) < int(current["id"]) <= node.mirror.facts.revision
    async with node.http.get(f"{node.url}/v1/routes?watch=true", headers={"Last-Event-ID": "x"}) as response:
        assert response.status == 422


@pytest.mark.parametrize("path", ["/v1/apps", "/v1/hosts", "/v1/jobs", "/v1/releases", "/v1/routes"])
async def test_each_list_is_the_same_watched_or_not(node: TestNode, path: str) -> None:
    host = model.Host(name="host-b", address="x", url="http://127.0.0.1:1", started=1.0)
    job = model.Job(id="hello-web-1", app="hello", type="web", queue="services", command="x", created=1.0)
    release = model.Release(app="hello", version=1, created=1.0, artifact=model.Artifact(), processes={})
    assigned = model.Assignment(job=job, host="host-b", assigned=1.0)
    await node.lease.put(keys.host("host-b"), host)
    puts = {keys.job("host-b", job.id): assigned, keys.release("hello", 1): release}
    await write(node, route("a.test"), *(Put(key, encode(record)) for key, record in puts.items()))
    async with node.http.get(node.url + path) as response:
        plain = await response.json()
    async with watching(node, path) as watcher:
        assert (await watcher.next())["items"] == plain
    assert len(plain) == 1


async def test_a_list_of_an_app_ends_with_the_app(node: TestNode) -> None:
    async with watching(node, "/v1/apps/hello/jobs") as watcher:
        await watcher.next()
        await write(node, Delete(keys.app("hello")))
        last = await watcher.next()
        assert (last["kind"], last["ok"]) == ("done", False)
        assert "hello" in last["message"]
        assert await watcher.response.content.read() == b""
    async with node.http.get(f"{node.url}/v1/apps/hello/jobs?watch=true") as response:
        assert response.status == 404


async def test_silence_has_a_beat_and_watchers_have_a_bound(node: TestNode) -> None:
    listed = Watched(node.context("controller"), ("routes",), lambda facts, asked: facts.routes, beat=0.05)
    served = Route("GET", "/v1/quick", listed.answer, "quick", Watched.gives(model.Route), query=Watch)
    with node.web.serving(served):
        async with AsyncExitStack() as stack:
            watchers = [await stack.enter_async_context(watching(node, "/v1/quick")) for _ in range(WATCHERS)]
            await watchers[0].next()
            beat = await watchers[0].next()
            assert beat["kind"] == "beat"
            assert 0 < beat["revision"] <= node.mirror.facts.revision
            async with node.http.get(f"{node.url}/v1/quick?watch=true") as response:
                assert (response.status, response.headers["Retry-After"]) == (429, "5")
        while listed._watchers:  # The node hears a little later that they have gone.
            await asyncio.sleep(0.01)
        for number in range(PHOTOS + 10):
            async with watching(node, "/v1/quick") as watcher:
                await watcher.next()
            await write(node, route(f"r{number}.test"))
        assert len(listed._photos) <= PHOTOS

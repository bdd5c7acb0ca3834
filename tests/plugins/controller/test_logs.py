"""The log of an app over all hosts: in order, filtered, followed across what breaks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Delete, Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.harness import TestNode, open_node
from tests.plugins.controller.log_host import LogHost, log_host

URL = "/v1/apps/hello/log"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Grid:
    """A controller, and hosts `a` and `b`."""

    def __init__(self, node: TestNode, a: LogHost, b: LogHost, clock: Clock) -> None:
        self.node, self.a, self.b, self.clock = node, a, b, clock

    async def lines(self, accept: str = "", **query: Any) -> list[Any]:
        async with self.node.http.get(self.node.url + URL, params=query, headers={"Accept": accept}) as answer:
            assert answer.status == 200, await answer.text()
            raw = (await answer.read()).splitlines()
            return raw if accept else [json.loads(line) for line in raw]

    async def texts(self, **query: Any) -> list[str]:
        return [line["line"] for line in await self.lines(**query)]

    @asynccontextmanager
    async def following(self, **query: Any) -> AsyncIterator["Follower"]:
        params = {"follow": "true", **query}
        async with self.node.http.get(self.node.url + URL, params=params) as answer:
            assert answer.status == 200
            yield Follower(answer)


class Follower:
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.position: dict[str, int] = {}

    async def texts(self, count: int) -> list[str]:
        found: list[str] = []
        async with asyncio.timeout(15):
            while len(found) < count:
                line = json.loads(await self.answer.content.readline() or b'{"kind": "end", "line": "END"}')
                if line["kind"] == "position":
                    self.position = line["hosts"]
                elif not line["line"].startswith("the log of host-a cannot be read now"):
                    # Whether that is said hangs on how soon the host is back.
                    found.append(line["line"])
        return found


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(open_node(tmp_path))
        app = model.App(name="hello", created=1.0)
        await node.store.commit([Put(keys.app("hello"), encode(app))])
        a = await stack.enter_async_context(log_host(node, "host-a", tmp_path / "a", clock))
        b = await stack.enter_async_context(log_host(node, "host-b", tmp_path / "b", clock))
        await stack.enter_async_context(node.running(Controller(ControllerConfig())))
        await node.mirror.until(lambda facts: "hello" in facts.apps, 10)
        yield Grid(node, a, b, clock)


async def test_all_hosts_are_merged_by_time(grid: Grid) -> None:
    async with grid.a.up(), grid.b.up():
        for n in range(6):
            grid.clock.now += 1
            await (grid.a, grid.b)[n % 2].prints(f"{n}\n{n}\n", f"hello-web-{n % 2}")
        await grid.a.prints("other\n", "shop-web-1")
        assert await grid.texts() == [str(n) for n in range(6) for _ in range(2)]
        assert await grid.texts(n=5) == ["3", "4", "4", "5", "5"]
        assert await grid.texts(n=0) == []
        line = (await grid.lines(n=1))[0]
        assert line == {
            "kind": "log", "time": 1006.0, "host": "host-b", "app": "hello", "job": "hello-web-1", "type": "web",
            "release": 1, "stream": "stdout", "at": 6, "line": "5",
        }  # fmt: skip


async def test_lines_are_filtered(grid: Grid) -> None:
    async with grid.a.up(), grid.b.up():
        await grid.a.prints("one\n", "hello-web-1", release=1)
        await grid.b.prints("two\n", "hello-worker-2", "stderr", release=2)
        grid.clock.now = 5000.0
        await grid.b.prints('three "ä" \\ \x1b[1m \x00\n', "hello-web-3", release=2)
        grid.clock.now = 6000.0
        three = 'three "ä" \\ \x1b[1m \x00'
        assert await grid.texts(type="worker") == await grid.texts(stream="stderr,flynn") == ["two"]
        assert await grid.texts(release="v2") == ["two", three]
        assert await grid.texts(job="hello-web-3") == await grid.texts(text='"ä" \\') == [three]
        assert await grid.texts(since="1970-01-01T01:20") == [three]
        assert await grid.texts(text="nothing") == []


@pytest.mark.parametrize(
    "query", ["n=-1", "n=x", "since=yesterday", "stream=stdin", "release=x", "from=a", "follow=maybe", "text=a%0Ab"]
)
async def test_what_is_no_good_is_refused(grid: Grid, query: str) -> None:
    async with grid.node.http.get(f"{grid.node.url}{URL}?{query}") as answer:
        assert answer.status == 422
        assert query.split("=")[0] in (await answer.json())["message"]


async def test_plain_text_and_events(grid: Grid) -> None:
    async with grid.a.up(), grid.b.up():
        await grid.a.prints("one\ntwo\n")
        before = b"1970-01-01T00:16:40.000+00:00 app[web.1]: "
        assert await grid.lines("text/plain") == [b"one", b"two"]
        assert await grid.lines("text/plain", times="true") == [before + b"one", before + b"two"]
        found = await grid.lines("text/event-stream")
        assert found[0::4] == [b"event: log"] * 2
        assert found[1::4] == [b"id: host-b:1,host-a:2", b"id: host-b:1,host-a:3"]
        assert json.loads(found[6].removeprefix(b"data: "))["line"] == "two"
        headers = {"Accept": "text/event-stream", "Last-Event-ID": "host-b:1,host-a:2"}
        async with grid.node.http.get(grid.node.url + URL, headers=headers) as answer:
            assert (await answer.read()).count(b"event: log") == 1


async def test_a_log_is_followed_across_hosts_and_breaks(grid: Grid) -> None:
    """A host that restarts, and one that comes later: each line once, those that were written meanwhile too."""
    grid.clock.now = time.time()
    async with AsyncExitStack() as first:
        await first.enter_async_context(grid.a.up())
        await grid.a.prints("old\n")
        async with grid.following() as follower:
            await grid.a.prints("new\n")
            assert await follower.texts(2) == ["old", "new"]
            await first.aclose()
            await grid.a.prints("meanwhile\n")
            async with grid.a.up():
                assert await follower.texts(1) == ["meanwhile"]
                assert follower.position in ({"host-a": 2}, {"host-a": 3})
                await grid.b.prints("elsewhere\n", "hello-web-2", release=2)
                async with grid.b.up():
                    assert await follower.texts(1) == ["elsewhere"]
                    await grid.b.prints("there\n", "hello-web-2", release=2)
                    assert await follower.texts(1) == ["there"]
            position = "host-a:4,host-b:3"
        async with grid.a.up(), grid.b.up():
            await grid.b.prints("last\n", "hello-web-2")
            assert await grid.texts(**{"from": position}) == ["last"]


async def test_a_host_that_does_not_answer_is_named(grid: Grid) -> None:
    host = model.Host(name="host-c", address="127.0.0.1", url=f"http://127.0.0.1:{grid.b.port}", started=1.0)
    await grid.node.store.commit([Put(keys.host("host-c"), encode(host))])
    async with grid.a.up():
        await grid.node.mirror.until(lambda facts: "host-c" in facts.hosts, 10)
        await grid.a.prints("here\n")
        words = "the log of host-c cannot be read now"
        assert sorted(text.split(":")[0] for text in await grid.texts()) == ["here", words]
        async with grid.following() as follower:
            assert sorted(text.split(":")[0] for text in await follower.texts(2)) == ["here", words]
            await grid.a.prints("more\n")
            assert await follower.texts(1) == ["more"]


async def test_an_app_that_had_the_name_before_is_not_shown(grid: Grid) -> None:
    async with grid.a.up():
        await grid.a.prints("before\n")
        await grid.node.store.commit([Delete(keys.app("hello"))])
        await grid.node.store.commit([Put(keys.app("hello"), encode(model.App(name="hello", created=2000.0)))])
        await grid.node.mirror.until(lambda f: "hello" in f.apps and f.apps["hello"].created == 2000.0, 10)
        grid.clock.now = 2001.0
        await grid.a.prints("after\n")
        assert await grid.texts() == ["after"]

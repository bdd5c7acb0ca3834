"""The counts of all routers, asked over real sockets: one that answers, one that is silent, one that is gone."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Route as Record
from flynn.core.model import Router
from flynn.core.route_stats import GridStats
from flynn.core.serve import serve
from flynn.core.store import Put
from flynn.core.web import Handler, Route, Web, answer
from flynn.router import grid
from flynn.router.api import Which
from flynn.router.counts import BOUNDS, Counts
from flynn.router.stats import route_stats
from tests.harness import TOKEN, TestNode, open_node
from tests.ports import free_port


def told(*statuses: int) -> dict[str, Any]:
    counts = Counts()
    for status in statuses:
        counts.ended(status, 0.07)
    counts.in_flight = 1
    entry = route_stats(Record(id="r", domain="app.test", service="app-web", app="app"), counts)
    service = {"answers": {"2xx": 1}, "instances": 2, "connections": {"reused": 3, "opened": 1}}
    return {
        "clients": 4, "refused": 1, "revision": 9, "started": 5.0,
        "routes": {"r": entry}, "services": {"app-web": service},
    }  # fmt: skip


async def write(node: TestNode, **urls: str) -> None:
    puts = [Put(keys.router(name), encode(Router(host=name, revision=9, url=url))) for name, url in urls.items()]
    await node.mirror.reach(await node.store.commit(puts))


async def ask(node: TestNode, query: str = "") -> Any:
    async with node.http.get(f"{node.url}/v1/routers/stats{query}") as response:
        assert response.status == 200
        return await response.json()


def grid_route(handler: Handler) -> Route:
    return Route("GET", "/v1/routers/stats", handler, "all routers", GridStats, query=Which)


async def test_all_routers_added_up_and_the_silent_named(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    async def one(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return answer(told(200, 200, 503))

    async def other(request: web.Request) -> web.StreamResponse:
        return answer(told(200))

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(20)
        return answer({})

    async with open_node(tmp_path) as node:
        urls = {name: f"http://127.0.0.1:{free_port()}" for name in "abcd"}
        for name, handler in (("a", one), ("b", other), ("c", silent)):
            server = Web(TOKEN)
            node.stack.enter_context(
                server.serving(Route("GET", "/v1/router/stats", handler, "one router", Any, query=Which))
            )
            await node.stack.enter_async_context(serve(server, "127.0.0.1", int(urls[name].rpartition(":")[2])))
        await write(node, **urls)
        with node.web.serving(grid_route(grid.stats(node.context("router"), 2.0))):
            total = await ask(node, "?app=app&all=true")
    assert asked == [{"app": "app", "all": "true"}]
    assert total["routers"]["a"] == {"clients": 4, "refused": 1, "revision": 9, "started": 5.0}
    assert total["routers"]["c"] == {"error": f"{urls['c']} does not answer: nothing within 2 s"}
    assert total["routers"]["d"]["error"].startswith(f"{urls['d']} does not answer: ")
    assert (total["clients"], total["refused"]) == (8, 2)
    assert total["bounds"] == list(BOUNDS)
    route = total["routes"]["r"]
    assert route["answers"] == {"2xx": 3, "5xx": 1}
    assert (route["in_flight"], sum(route["durations"])) == (2, 4)
    assert 0.05 < route["seconds"]["p50"] < 0.1
    assert total["services"]["app-web"] == {
        "answers": {"2xx": 2}, "in_flight": 0, "instances": 2, "orphans": 0,
        "connections": {"opened": 2, "reused": 6}, "releases": {},
    }  # fmt: skip


async def test_a_router_of_another_version_is_counted_as_far_as_it_is_understood(tmp_path: Path) -> None:
    """As while the daemons of a grid are renewed one after the other."""
    own = told(200)

    async def earlier(request: web.Request) -> web.StreamResponse:
        return answer({**own, "routes": {"r": {"domain": "app.test", "answers": {"2xx": 5}}}})

    async def other(request: web.Request) -> web.StreamResponse:
        return answer({**own, "services": {"app-web": {"answers": [5]}}})

    async def current(request: web.Request) -> web.StreamResponse:
        return answer(own)

    async with open_node(tmp_path) as node:
        urls = {name: f"http://127.0.0.1:{free_port()}" for name in "abc"}
        for name, handler in (("a", earlier), ("b", other), ("c", current)):
            server = Web(TOKEN)
            node.stack.enter_context(
                server.serving(Route("GET", "/v1/router/stats", handler, "one router", Any, query=Which))
            )
            await node.stack.enter_async_context(serve(server, "127.0.0.1", int(urls[name].rpartition(":")[2])))
        await write(node, **urls)
        with node.web.serving(grid_route(grid.stats(node.context("router")))):
            total = await ask(node)
    assert total["routes"]["r"]["answers"] == {"2xx": 7}
    assert sum(total["routes"]["r"]["durations"]) == 2
    assert total["services"]["app-web"]["answers"] == {"2xx": 2}
    assert total["routers"]["a"]["clients"] == 4
    assert total["routers"]["b"] == {"error": "its services are not all understood; is its daemon of another version?"}


async def test_a_grid_without_routers_has_no_counts(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        with node.web.serving(grid_route(grid.stats(node.context("router")))):
            total = await ask(node)
    assert (total["routers"], total["routes"], total["clients"]) == ({}, {}, 0)

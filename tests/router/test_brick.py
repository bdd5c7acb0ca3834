"""The brick in a node: live routes, the exact drain, and a stop that loses nothing."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flynn.core import keys
from flynn.core.errors import StartError
from flynn.core.facts import encode
from flynn.core.lease import open_lease
from flynn.core.model import Instance, Record, Route, Router
from flynn.core.store import Delete, Put
from flynn.router.brick import RouterBrick, RouterConfig
from tests.harness import TestNode, open_node
from tests.ports import free_port
from tests.router.rig import GET, OK, App, Call, Talk, always, until

KEY = keys.router("host-a")


async def write(node: TestNode, *records: Record, gone: tuple[str, ...] = ()) -> int:
    """Commit, and wait until the router has seen it; the revision."""
    puts: list[Put | Delete] = [
        Put(keys.route(r.id) if isinstance(r, Route) else keys.instance(r.service, r.id), encode(r))
        for r in records
        if isinstance(r, Route | Instance)
    ]
    revision = await node.store.commit([*puts, *map(Delete, gone)])
    await node.mirror.reach(revision)
    return revision


def told(node: TestNode) -> Router | None:
    record = node.mirror.facts.get(KEY)
    assert record is None or isinstance(record, Router)
    return record


async def until_told(node: TestNode, revision: int, draining: dict[str, int]) -> None:
    def wanted(facts: Any) -> bool:
        record = facts.get(KEY)
        return isinstance(record, Router) and record.revision >= revision and record.draining == draining

    await node.mirror.until(wanted, 5)


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[None]:
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    app.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in tuple(app.tasks):
            task.cancel()
        await asyncio.gather(*app.tasks)


@asynccontextmanager
async def routing(tmp_path: Path, app: App, **config: Any) -> AsyncIterator[tuple[TestNode, int, Any]]:
    port = free_port()
    async with serving(app), open_node(tmp_path) as node:
        await write(node, Route(id="r", domain="app.test", service="app-web"), instance(app))
        async with node.running(RouterBrick(RouterConfig(port=port, sweep=0.05, **config))) as ctx:
            yield node, port, ctx


def instance(app: App, id: str = "i0", draining: bool = False) -> Instance:
    return Instance(id=id, service="app-web", address=app.address, host="host-a", draining=draining)


@asynccontextmanager
async def talking(port: int) -> AsyncIterator[Talk]:
    talk = Talk(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield talk
    finally:
        await talk.close()


async def test_follows_the_facts_live(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(OK))) as (node, port, ctx), talking(port) as talk:
        assert ctx.sentence == f"routing 1 host to 1 instance on port {port}"
        assert (await talk.ask()).status == 200
        assert (await talk.ask(GET.replace(b"app", b"new"))).status == 404
        await write(node, Route(id="n", domain="new.test", service="app-web"))
        assert ctx.sentence == f"routing 2 hosts to 1 instance on port {port}"
        assert (await talk.ask(GET.replace(b"app", b"new"))).status == 200
        await write(node, gone=(keys.route("n"),))
        assert (await talk.ask(GET.replace(b"app", b"new"))).status == 404
        async with node.http.get(node.url + "/v1/router/stats") as response:
            stats = await response.json()
        assert stats["services"]["app-web"]["answers"] == {"2xx": 2}
        assert stats["clients"] == 1
        record = told(node)
        assert record is not None
        assert record.url == node.url


async def test_metrics_are_for_those_with_the_token(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(OK))) as (node, port, _), talking(port) as talk:
        assert (await talk.ask(b"junk\r\n\r\n")).status == 400
        for path in ("/metrics", "/v1/router/metrics"):
            async with node.http.get(node.url + path) as response:
                assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                text = await response.text()
            assert "\nflynn_router_refused_total 1\n" in text
        async with aiohttp.ClientSession() as stranger, stranger.get(node.url + "/metrics") as response:
            assert response.status == 401


async def test_routes_are_counted_and_shown_as_asked_for(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(OK))) as (node, port, _), talking(port) as talk:
        await write(node, Route(id="n", domain="new.test", service="new-web", app="new"))
        for _ in range(3):
            assert (await talk.ask()).status == 200
        assert (await talk.ask(GET.replace(b"app.test", b"none.test"))).status == 404

        async def shown(query: str = "") -> Any:
            async with node.http.get(node.url + "/v1/router/stats" + query) as response:
                return await response.json()

        stats = await shown()
        assert stats["routes"].keys() == {"r"}
        route = stats["routes"]["r"]
        assert (route["domain"], route["service"], route["answers"]) == ("app.test", "app-web", {"2xx": 3})
        assert sum(route["durations"]) == 3
        assert len(route["durations"]) == len(stats["bounds"]) + 1
        assert 0 < route["seconds"]["p50"] <= route["seconds"]["p99"] < 10
        assert stats["services"]["app-web"]["connections"] == {"reused": 2, "opened": 1}
        assert (await shown("?all=true"))["routes"].keys() == {"r", "n"}
        assert (await shown("?all=true&app=new"))["routes"].keys() == {"n"}
        assert (await shown("?all=true&app=new"))["services"].keys() == {"new-web"}
        assert (await shown("?route=r"))["routes"].keys() == {"r"}
        assert (await shown("?app=new"))["routes"] == {}
        async with node.http.get(node.url + "/v1/routers/stats") as response:
            total = await response.json()
        assert total["routes"] == stats["routes"]
        assert total["routers"].keys() == {"host-a"}
        async with node.http.get(node.url + "/metrics") as response:
            text = await response.text()
        assert 'flynn_router_requests_total{route="r",host="app.test",class="2xx"} 3\n' in text
        assert 'flynn_router_connections_total{service="app-web",instance="i0",kind="reused"} 2\n' in text
        assert 'route="n"' not in text


async def metrics(node: TestNode, name: str) -> dict[str, float]:
    """The lines of one metric: values by labels."""
    async with node.http.get(node.url + "/metrics") as response:
        text = await response.text()
    return {labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)}


async def test_an_instance_that_drains_is_seen_while_it_serves_and_what_it_counted_stays(tmp_path: Path) -> None:
    release, last = asyncio.Event(), App(always(OK))

    async def slow(call: Call) -> bytes:
        await release.wait()
        return OK

    async with serving(last), routing(tmp_path, app := App(slow)) as (node, port, _), talking(port) as talk:

        async def counted() -> tuple[dict[str, int], int, dict[str, int]]:
            async with node.http.get(node.url + "/v1/router/stats") as response:
                service = (await response.json())["services"]["app-web"]
            return service["answers"], service["in_flight"], service["connections"]

        await talk.send(GET)
        await until(lambda: app.calls)
        await write(node, instance(app, draining=True), instance(last, "i1"))
        gauge, total = "flynn_router_instance_in_flight", "flynn_router_instance_requests_total"
        assert await metrics(node, gauge) == {'service="app-web",instance="i0"': 1}
        # The host takes it away before its time, and its last request ends after that.
        await write(node, gone=(keys.instance("app-web", "i0"),))
        assert await counted() == ({}, 1, {"reused": 0, "opened": 1})
        release.set()
        assert (await talk.reply()).status == 200
        assert await counted() == ({"2xx": 1}, 0, {"reused": 0, "opened": 1})
        assert (await talk.ask()).status == 200
        assert await counted() == ({"2xx": 2}, 0, {"reused": 0, "opened": 2})
        assert await metrics(node, total) == {'service="app-web",instance="i1",class="2xx"': 1}


async def test_what_the_router_answers_itself_is_counted_by_code(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(None))) as (node, port, _):
        for host in (b"none.test", b"other.test", b"app.test"):
            async with talking(port) as talk:
                await talk.ask(GET.replace(b"app.test", host))
        for junk in (b"junk\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"):
            async with talking(port) as talk:
                await talk.ask(junk)
        assert await metrics(node, "flynn_router_faults_total") == {
            'code="no-route",status="404"': 2,
            'code="H13",status="502"': 1,
            'code="bad-request",status="400"': 1,
            'code="bad-request",status="414"': 1,
        }


async def test_requests_are_written_to_the_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with (
        routing(tmp_path, App(always(OK)), access_log=str(log), access_format="json") as (_, port, _ctx),
        talking(port) as talk,
    ):
        assert (await talk.ask(GET.replace(b"/ ", b"/one "))).status == 200
        await until(lambda: log.stat().st_size)
        assert (await talk.ask(GET.replace(b"/ ", b"/two "))).status == 200
    assert [json.loads(line)["target"] for line in log.read_text().splitlines()] == ["/one", "/two"]


async def test_with_proxy_protocol_each_connection_begins_with_a_header(tmp_path: Path) -> None:
    app = App(always(OK))
    async with routing(tmp_path, app, proxy_protocol=True) as (_, port, _ctx):
        async with talking(port) as talk:
            assert (await talk.ask(b"PROXY TCP4 192.0.2.7 192.0.2.1 1 80\r\n" + GET)).status == 200
            assert app.calls[0].values("X-Forwarded-For") == ["192.0.2.7"]
        async with talking(port) as talk:
            await talk.send(GET)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await talk.reply()
        assert len(app.calls) == 1


async def test_tcp_routes_follow_the_facts_too(tmp_path: Path) -> None:
    app = App(always(OK))
    async with routing(tmp_path, app) as (node, port, ctx):
        number = free_port()
        at = f"routing 1 host to 1 instance on port {port}"
        await write(node, Route(id="t", service="app-web", kind="tcp", port=number))
        async with asyncio.timeout(5):
            while ctx.sentence != f"{at}; TCP on port {number}":
                await asyncio.sleep(0.01)
        async with talking(number) as talk:
            assert (await talk.ask()).body == b"ok"
            assert app.calls[0].values("X-Forwarded-For") == [], "the bytes pass as they are"
            await write(node, instance(app, draining=True))
            await until_told(node, 0, {"app-web/i0": 1})
            async with node.http.get(node.url + "/v1/router/stats") as response:
                stats = (await response.json())["tcp"]["t"]
            assert (stats["port"], stats["in_flight"], stats["received"], stats["sent"]) == (
                number,
                1,
                len(GET),
                len(OK),
            )
        await until_told(node, 0, {})
        await write(node, gone=(keys.route("t"),))
        async with asyncio.timeout(5):
            while ctx.sentence != "routing 1 host to 0 instances on port " + str(port):
                await asyncio.sleep(0.01)


async def test_ipv6_is_served_where_there_is_any(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(OK))) as (_, port, _ctx):
        try:
            talk = Talk(*await asyncio.open_connection("::1", port))
        except OSError:
            pytest.skip("this machine has no IPv6")
        assert (await talk.ask()).status == 200
        await talk.close()


async def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    async with routing(tmp_path / "a", App(always(OK))) as (_, port, _ctx), open_node(tmp_path / "b") as node:
        with pytest.raises(StartError, match=f"port {port}.*in use.*--http-port"):
            async with node.running(RouterBrick(RouterConfig(port=port))):
                pass


async def test_networks_that_are_none_are_said_plainly(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        with pytest.raises(StartError, match=r"router\.trusted.*10\.0\.0\.0/8"):
            async with node.running(RouterBrick(RouterConfig(port=free_port(), trusted=("nonsense",)))):
                pass


async def test_the_exact_drain(tmp_path: Path) -> None:
    release, last = asyncio.Event(), App(always(OK))

    async def slow(call: Call) -> bytes:
        if b"/slow" in call.head:
            await release.wait()
        return OK

    app = App(slow)
    async with serving(last), routing(tmp_path, app) as (node, port, _), talking(port) as one, talking(port) as two:
        record = told(node)
        assert record is not None
        assert record.draining == {}
        await one.send(GET.replace(b"/ ", b"/slow "))
        assert (await two.ask()).status == 200
        await write(node, instance(last, "i1"))
        revision = await write(node, instance(app, draining=True))
        # No new request goes there from now on, and its idle connections are closed.
        for _ in range(5):
            assert (await two.ask()).status == 200
        assert (len(app.calls), len(last.calls)) == (2, 5)
        await until_told(node, revision, {"app-web/i0": 1})
        while app.open > 1:
            await asyncio.sleep(0.005)
        release.set()
        assert (await one.reply()).status == 200
        await until_told(node, revision, {})
        # With nothing draining, a change costs no write of the router.
        await write(node, gone=(keys.instance("app-web", "i0"),))
        before = told(node)
        await write(node, instance(last, "i2"))
        assert (await two.ask()).status == 200
        assert told(node) == before


async def test_a_stop_lets_requests_end(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(call: Call) -> bytes:
        await release.wait()
        return OK

    app = App(slow)
    async with routing(tmp_path, app) as (node, port, ctx), talking(port) as busy, talking(port) as idle:
        await busy.send(GET)
        while not app.calls:
            await asyncio.sleep(0.005)
        assert told(node) is not None
        ctx.stopping.set()
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert told(node) is not None
        release.set()
        reply = await busy.reply()
        assert (reply.status, reply.value("Connection")) == (200, "close")
        assert await busy.rest() == b""
        await node.mirror.until(lambda facts: facts.get(KEY) is None, 5)


async def test_a_stop_has_its_limit(tmp_path: Path) -> None:
    async def never(call: Call) -> None:
        await call.reader.read()

    app = App(never)
    async with routing(tmp_path, app, drain_timeout=0.2) as (node, port, ctx), talking(port) as busy:
        await busy.send(GET)
        while not app.calls:
            await asyncio.sleep(0.005)
        ctx.stopping.set()
        assert await busy.rest() == b""
        await node.mirror.until(lambda facts: facts.get(KEY) is None, 5)


async def test_an_instance_whose_daemon_was_lost_serves_on_as_a_last_resort(tmp_path: Path) -> None:
    async with routing(tmp_path, App(always(OK))) as (node, port, ctx), talking(port) as talk:
        record = node.mirror.facts.services["app-web/i0"]
        async with open_lease(node.store) as other:
            await node.mirror.reach(await other.put(keys.instance("app-web", "i0"), record))
            await node.store.revoke(other.id)
            await node.mirror.until(lambda facts: "app-web/i0" not in facts.services, 5)
            assert ctx.sentence == f"routing 1 host to 0 instances on port {port}"
            assert (await talk.ask()).status == 200

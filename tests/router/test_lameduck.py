"""A router takes the place of another that is asked all the time: nothing is refused or lost, and drains stay exact."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flynn.core.brick import Context
from flynn.core.estate import Estate
from flynn.core.model import Instance, Route
from flynn.router import lameduck
from flynn.router.brick import RouterBrick, RouterConfig
from tests.harness import TestNode, open_node
from tests.ports import free_port
from tests.router.rig import GET, OK, App, Call, Talk, always, until
from tests.router.test_brick import instance, serving, talking, told, until_told, write
from tests.router.test_upgrade import ASK

SLOW = GET.replace(b"/ ", b"/slow ")

PASSING = 0.1
"""Seconds after which clients are told to close."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lameduck, "PASSING", PASSING)


@dataclass(eq=False)
class Line:
    """Routers on one port, one after the other."""

    node: TestNode
    port: int
    config: dict[str, Any] = field(default_factory=dict)
    estates: list[Estate] = field(default_factory=list)
    ending: list["asyncio.Task[None]"] = field(default_factory=list)
    ducks: list[lameduck.LameDuck] = field(default_factory=list)
    ctx: Context | None = None
    task: "asyncio.Task[None] | None" = None

    async def begin(self, estate: Estate, up: bool = True) -> None:
        """Run a router on this estate; `up`: all else of its daemon is."""
        self.ctx = ctx = self.node.context("router")
        ctx.estate, ready = estate, asyncio.Event()
        ctx.on_ready = ready.set
        if up:
            ctx.up.set()
        brick = RouterBrick(RouterConfig(port=self.port, sweep=0.05, **self.config))
        self.task = asyncio.create_task(brick.run(ctx))
        await asyncio.wait([self.task, asyncio.create_task(ready.wait())], return_when="FIRST_COMPLETED")
        assert ready.is_set(), self.task

    async def leave(self) -> Estate:
        """Stop the router as a daemon does that hands over; what the next one is given."""
        assert self.ctx is not None
        assert self.task is not None
        estate = self.ctx.estate
        estate.handing = True
        self.ctx.stopping.set()
        await asyncio.wait_for(self.task, 5)
        given = Estate({name: sock.dup() for name, sock in estate.bequest().items()})
        estate.close_presents()
        self.estates.append(estate)
        self.ducks += [duck for duck in estate._left.values() if isinstance(duck, lameduck.LameDuck)]
        return given

    async def clients_are_told(self) -> None:
        """Wait until the last router that left tells its clients to close."""
        await until(lambda: self.ducks[-1].plane.proxy.stopping)

    async def hand_over(self) -> None:
        """The next router takes the place of the one that runs."""
        given = await self.leave()
        await self.begin(given)
        self.ending.append(asyncio.create_task(self.estates[-1].end()))

    async def stop(self) -> None:
        assert self.ctx is not None
        assert self.task is not None
        self.ctx.stopping.set()
        await asyncio.wait_for(self.task, 10)
        await asyncio.wait_for(asyncio.gather(*self.ending), 10)


@asynccontextmanager
async def line(tmp_path: Path, app: App, **config: Any) -> AsyncIterator[Line]:
    async with serving(app), open_node(tmp_path) as node:
        await write(node, Route(id="r", domain="app.test", service="app-web"), instance(app))
        made = Line(node, free_port(), {"drain_timeout": 3.0, "tunnel_drain_timeout": 3.0, **config})
        await made.begin(Estate())
        try:
            yield made
        finally:
            await made.stop()


def slow_app(release: asyncio.Event) -> App:
    async def slow(call: Call) -> bytes:
        if b"/slow" in call.head:
            await release.wait()
        return OK

    return App(slow)


async def test_an_idle_client_does_not_notice(tmp_path: Path) -> None:
    app = App(always(OK))
    async with line(tmp_path, app) as routers, talking(routers.port) as talk, talking(routers.port) as new:
        assert (await talk.ask()).status == 200
        for _ in range(3):
            await routers.hand_over()
            await asyncio.wait_for(routers.ending[-1], 5)
            reply = await talk.ask()
            assert (reply.status, reply.value("Connection")) == (200, None)
        assert (await new.ask()).status == 200
        assert len(app.calls) == 5


async def test_a_request_under_way_is_answered_by_the_router_that_has_it(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with line(tmp_path, app := slow_app(release)) as routers, talking(routers.port) as talk:
        await talk.send(SLOW)
        await until(lambda: app.calls)
        await routers.hand_over()
        async with talking(routers.port) as other:
            assert (await other.ask()).status == 200
        await routers.clients_are_told()
        release.set()
        reply = await talk.reply()
        assert (reply.status, reply.value("Connection")) == (200, "close")
        assert await talk.rest() == b""
        await asyncio.wait_for(routers.ending[-1], 5)


async def test_a_connection_that_was_not_told_to_close_is_not_closed(tmp_path: Path) -> None:
    """The head of the answer was sent before, its end comes after clients are told to close."""
    release = asyncio.Event()

    async def in_pieces(call: Call) -> bytes:
        if b"/slow" not in call.head:
            return OK
        call.writer.write(OK[:-1])
        await release.wait()
        return OK[-1:]

    async with line(tmp_path, app := App(in_pieces)) as routers, talking(routers.port) as talk:
        await talk.send(SLOW)
        assert (await talk.reader.readuntil(b"\r\n\r\no")).count(b"close") == 0
        await routers.hand_over()
        await routers.clients_are_told()
        release.set()
        assert await talk.reader.readexactly(1) == b"k"
        assert (await talk.ask()).status == 200
        assert len(app.calls) == 2


async def test_a_drain_across_it_is_exact(tmp_path: Path) -> None:
    release, last = asyncio.Event(), App(always(OK))
    async with serving(last), line(tmp_path, app := slow_app(release)) as routers, talking(routers.port) as talk:
        node = routers.node
        await talk.send(SLOW)
        await until(lambda: app.calls)
        await routers.hand_over()
        await write(node, instance(last, "i1"))
        revision = await write(node, instance(app, draining=True))
        await until_told(node, revision, {"app-web/i0": 1})
        async with talking(routers.port) as other:
            assert [(await other.ask()).status for _ in range(5)] == [200] * 5
        assert (len(app.calls), len(last.calls)) == (1, 5)
        release.set()
        assert (await talk.reply()).status == 200
        await until_told(node, revision, {})


async def test_a_drain_that_began_before_goes_on(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with line(tmp_path, app := slow_app(release)) as routers, talking(routers.port) as talk:
        node = routers.node
        await talk.send(SLOW)
        await until(lambda: app.calls)
        revision = await write(node, instance(app, draining=True))
        await until_told(node, revision, {"app-web/i0": 1})
        for _ in range(3):  # The last router counts what the first has under way.
            await routers.hand_over()
            record = told(node)
            assert record is not None
            assert record.draining == {"app-web/i0": 1}
        release.set()
        assert (await talk.reply()).status == 200
        await until_told(node, revision, {})


async def test_a_router_that_is_not_up_confirms_and_accepts_nothing(tmp_path: Path) -> None:
    """Between both: the earlier one goes on with the table it has, so a drain has to wait."""
    last = App(always(OK))
    async with serving(last), line(tmp_path, app := App(always(OK))) as routers, talking(routers.port) as talk:
        node = routers.node
        before = node.mirror.facts.revision
        given = await routers.leave()
        await routers.begin(given, up=False)
        await write(node, instance(last, "i1"))
        revision = await write(node, instance(app, draining=True))
        assert (await talk.ask()).status == 200
        assert (len(app.calls), len(last.calls)) == (1, 0)
        record = told(node)
        assert record is not None
        assert record.revision <= before
        assert routers.ctx is not None
        routers.ctx.up.set()
        routers.ending.append(asyncio.create_task(routers.estates[-1].end()))
        await until_told(node, revision, {})
        assert (await talk.ask()).status == 200
        assert (len(app.calls), len(last.calls)) == (1, 1)


async def test_the_earlier_router_follows_what_the_later_one_sees(tmp_path: Path) -> None:
    """A client that is busy when the router changes asks once more there: for an app that is new since then."""
    release, last = asyncio.Event(), App(always(OK))
    async with serving(last), line(tmp_path, app := slow_app(release)) as routers, talking(routers.port) as talk:
        node = routers.node
        await talk.send(SLOW)
        await until(lambda: app.calls)
        await routers.hand_over()
        await write(node, Route(id="n", domain="new.test", service="app-web"), instance(last, "i1"))
        await until_told(node, await write(node, instance(app, draining=True)), {"app-web/i0": 1})
        release.set()
        assert (await talk.reply()).status == 200
        assert (await talk.ask(GET.replace(b"app", b"new"))).status == 200
        assert len(last.calls) == 1


async def test_a_hand_over_that_fails_is_not_noticed(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with line(tmp_path, app := slow_app(release)) as routers, talking(routers.port) as talk:
        await talk.send(SLOW)
        await until(lambda: app.calls)
        given = await routers.leave()
        async with talking(routers.port) as other:
            assert (await other.ask()).status == 200
        given.close_all()
        estate = routers.estates.pop()
        estate.handing = False
        await routers.begin(estate)
        revision = await write(routers.node, instance(app, draining=True))
        await until_told(routers.node, revision, {"app-web/i0": 1})
        release.set()
        assert (await talk.reply()).value("Connection") is None
        await until_told(routers.node, revision, {})


async def websocket(port: int) -> Talk:
    talk = Talk(*await asyncio.open_connection("127.0.0.1", port))
    await talk.send(ASK % b"Upgrade")
    assert (await talk.reply()).status == 101
    return talk


@pytest.mark.parametrize("hand_over", [True, False])
async def test_a_websocket_is_closed_in_its_own_time(tmp_path: Path, hand_over: bool) -> None:
    async def framed(call: Call) -> None:
        call.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
        )
        while data := await call.reader.read(65536):
            call.writer.write(data)

    async with line(tmp_path, App(framed), drain_timeout=0.1, tunnel_drain_timeout=0.7) as routers:
        whole, half = await websocket(routers.port), await websocket(routers.port)
        for talk in (whole, half):
            assert await talk.reader.readexactly(4) == b"\x81\x02hi"
        if hand_over:
            await routers.hand_over()
        else:
            assert routers.ctx is not None
            routers.ctx.stopping.set()
        began = asyncio.get_running_loop().time()
        await whole.send(b"\x81\x05still")
        await half.send(b"\x81\x05sti")
        assert await whole.reader.readexactly(7) == b"\x81\x05still"
        assert await half.reader.readexactly(5) == b"\x81\x05sti"
        # RFC 6455 section 7.4.1: 1001, going away. Where a frame is cut, there is no place for it.
        assert await whole.rest() == b"\x88\x02\x03\xe9"
        assert await half.rest() == b""
        assert asyncio.get_running_loop().time() - began > 0.4
        await whole.close()
        await half.close()


async def test_a_tunnel_that_is_no_websocket_is_ended_without_a_word(tmp_path: Path) -> None:
    async def other(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nwelcome")
        await call.reader.read()

    async with line(tmp_path, App(other), tunnel_drain_timeout=0.1) as routers, talking(routers.port) as talk:
        await talk.send(ASK % b"Upgrade")
        assert (await talk.reply()).status == 101
        assert await talk.reader.readexactly(7) == b"welcome"
        assert routers.ctx is not None
        routers.ctx.stopping.set()
        assert await talk.rest() == b""


async def test_a_router_that_never_was_up_ends_at_once(tmp_path: Path) -> None:
    async with line(tmp_path, App(always(OK))) as routers:
        given = await routers.leave()
        await routers.begin(given, up=False)
        assert routers.ctx is not None
        assert routers.task is not None
        routers.ctx.stopping.set()
        await asyncio.wait_for(routers.task, 2)
        estate = routers.estates.pop()
        estate.handing = False
        await routers.begin(estate)


async def test_tcp_routes_are_handed_over_too(tmp_path: Path) -> None:
    async def given_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(given_back, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    port = free_port()
    async with line(tmp_path, App(always(OK))) as routers:
        echo = Instance(id="e", service="echo", address=address, host="host-a")
        await write(routers.node, Route(id="t", kind="tcp", port=port, service="echo"), echo)
        assert routers.ctx is not None
        await until(lambda: routers.ctx and f"TCP on port {port}" in routers.ctx.sentence)
        async with talking(port) as first:
            await first.send(b"one")
            assert await first.reader.readexactly(3) == b"one"
            given = await routers.leave()
            async with talking(port) as between:  # Nobody else is there yet.
                await between.send(b"two")
                assert await between.reader.readexactly(3) == b"two"
                await routers.begin(given)
                routers.ending.append(asyncio.create_task(routers.estates[-1].end()))
                async with talking(port) as last:
                    for number, talk in enumerate((first, between, last)):
                        await talk.send(b"%d" % number)
                        assert await talk.reader.readexactly(1) == b"%d" % number
                revision = await write(
                    routers.node, Instance(id="e", service="echo", address=address, host="host-a", draining=True)
                )
                await until_told(routers.node, revision, {"echo/e": 2})
        await until_told(routers.node, revision, {})
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    server.close()

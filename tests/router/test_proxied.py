"""Clients behind a proxy that says who they are."""

import asyncio
import ipaddress
import struct
from functools import partial

import pytest

from flynn.router.listen import listening, open_sockets
from flynn.router.proxied import Door
from flynn.router.proxyproto import V2
from tests.router.rig import GET, OK, PATIENCE, Rig, Talk, always, open_rig, until

LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BINARY = V2 + b"\x21\x11" + struct.pack("!H", 12) + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 9, 443)


async def behind(rig: Rig) -> tuple[Door, int]:
    """A port of the rig's router where each connection begins with a header."""
    door = Door(rig.proxy)
    sockets = open_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    await rig.stack.enter_async_context(listening(door.client, sockets))
    rig.stack.callback(door.close)
    return door, port


async def talk(rig: Rig, port: int) -> Talk:
    talk = Talk(*await asyncio.open_connection("127.0.0.1", port))
    rig.stack.push_async_callback(talk.close)
    return talk


async def is_closed(talk: Talk) -> bool:
    """Whether the router ends the connection without a word."""
    try:
        return await talk.rest() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("header", [LINE, BINARY])
async def test_the_client_is_who_the_header_says(header: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        door, port = await behind(rig)
        one = await talk(rig, port)
        assert (await one.ask(header + GET)).body == b"ok"
        assert app.calls[0].values("X-Forwarded-For") == ["192.0.2.7"]
        assert app.calls[0].values("X-Forwarded-Port") == ["443"]
        # The connection goes on, with one header for all its requests.
        await one.ask(GET)
        assert app.calls[1].values("X-Forwarded-For") == ["192.0.2.7"]
        assert not door.waiting
        assert len(rig.proxy.clients) == 1


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\x00\0\0"])
async def test_a_proxy_that_speaks_for_itself_is_the_client(header: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        _, port = await behind(rig)
        await (await talk(rig, port)).ask(header + GET)
        assert app.calls[0].values("X-Forwarded-For") == ["127.0.0.1"]
        assert app.calls[0].values("X-Forwarded-Port") == [str(port)]


@pytest.mark.parametrize("header", [LINE, BINARY])
async def test_a_header_may_come_in_pieces(header: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        door, port = await behind(rig)
        one = await talk(rig, port)
        await until(lambda: door.waiting)
        [waiting] = door.waiting
        for size in range(1, len(header)):
            await one.send(header[size - 1 : size])
            await until(partial(lambda size: len(waiting.buffer) == size, size))
        assert (await one.ask(header[-1:] + GET)).body == b"ok"
        assert app.calls[0].values("X-Forwarded-For") == ["192.0.2.7"]


@pytest.mark.parametrize("start", [GET, b"\x16\x03\x01", LINE.replace(b"\r", b""), BINARY[:12] + b"\x11"])
async def test_a_connection_without_a_header_is_closed_and_nothing_passed_on(start: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        door, port = await behind(rig)
        one = await talk(rig, port)
        await one.send(start)
        assert await is_closed(one)
        assert (door.closed, len(door.waiting), app.conns) == (1, 0, 0)


async def test_a_header_that_does_not_come_is_not_waited_for() -> None:
    async with open_rig(head_timeout=0.1) as rig:
        door, port = await behind(rig)
        silent, slow = await talk(rig, port), await talk(rig, port)
        await slow.send(LINE[:9])
        assert await is_closed(silent)
        assert await is_closed(slow)
        assert door.closed == 2
        # One that went by itself, as health checks do, is no fault.
        gone = await talk(rig, port)
        await until(lambda: door.waiting)
        await gone.close()
        await until(lambda: not door.waiting)
        assert door.closed == 2


async def test_only_trusted_peers_may_say_who_is_behind_them() -> None:
    async with open_rig(trusted=(ipaddress.ip_network("10.0.0.0/8"),)) as rig:
        door, port = await behind(rig)
        one = await talk(rig, port)
        assert await is_closed(one)
        assert door.closed == 1
    async with open_rig(trusted=(ipaddress.ip_network("127.0.0.0/8"),)) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        _, port = await behind(rig)
        forged = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
        await (await talk(rig, port)).ask(LINE + forged)
        assert app.calls[0].values("X-Forwarded-For") == ["192.0.2.7"], "the client behind the proxy is not trusted"


async def test_those_who_wait_count_as_connections() -> None:
    async with open_rig(max_clients=2) as rig:
        door, port = await behind(rig)
        waiting = [await talk(rig, port) for _ in range(2)]
        await until(lambda: len(door.waiting) == 2)
        third = await talk(rig, port)
        assert await is_closed(third)
        assert len(door.waiting) == len(waiting) == 2


async def test_a_router_that_stops_closes_those_who_wait() -> None:
    async with open_rig() as rig:
        door, port = await behind(rig)
        one = await talk(rig, port)
        await until(lambda: door.waiting)
        door.close()
        async with asyncio.timeout(PATIENCE):
            assert await is_closed(one)
        await until(lambda: not door.waiting)

"""How long a WebSocket lasts: as long as both like, unless it falls silent or what it belongs to goes away."""

import asyncio
import socket
import struct

from flynn.core import keys
from flynn.core.model import Route
from flynn.router import tunnel
from flynn.router.deadlines import sweep
from flynn.router.tunnel import KEEP_ALIVE
from tests.router.rig import App, Call, Rig, Talk, open_rig, until

ASK = b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
PING, PONG, AWAY = b"\x89\x80\0\0\0\0", b"\x8a\x00", b"\x88\x02\x03\xe9"

OTHERS = 3600.0
"""Seconds between two looks of the router's own: here only the tests look."""


async def pongs(call: Call) -> None:
    call.writer.write(AGREED)
    while await call.reader.read(len(PING)):
        call.writer.write(PONG)


class Time:
    """The router's clock, set by hand."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.now = rig, rig.proxy.clock()
        rig.proxy.clock = lambda: self.now

    def passes(self, seconds: float) -> None:
        """The router looks at all deadlines now, which is when it notices what has come, and later again."""
        self.look()
        self.now += seconds
        self.look()

    def look(self) -> None:
        for client in tuple(self.rig.proxy.clients):
            sweep(client, self.now)


async def websocket(rig: Rig, host: bytes = b"app.test") -> Talk:
    talk = await rig.talk()
    await talk.send(ASK % host)
    assert (await talk.reply()).status == 101
    return talk


async def ping(talk: Talk) -> None:
    """It works."""
    await talk.send(PING)
    assert await talk.reader.readexactly(len(PONG)) == PONG


async def deaf(call: Call) -> None:
    """It agrees to something else, and reads nothing."""
    call.writer.write(AGREED.replace(b"websocket", b"else"))
    await asyncio.Event().wait()


async def shown(rig: Rig) -> App:
    app = await rig.app(pongs, whole=False)
    rig.show(app.address)
    return app


async def test_pings_keep_it_past_its_limit_and_silence_ends_it() -> None:
    async with open_rig(sweep=OTHERS, tunnel_idle_timeout=30) as rig:
        app = await shown(rig)
        time = Time(rig)
        talk = await websocket(rig)
        for _ in range(10):
            time.passes(29)
            await ping(talk)
        time.passes(31)
        assert await talk.rest() == AWAY
        await until(lambda: not app.open)
        assert rig.counts.in_flight == 0


async def test_without_a_limit_silence_is_all_right() -> None:
    async with open_rig(sweep=OTHERS) as rig:
        await shown(rig)
        talk = await websocket(rig)
        Time(rig).passes(10 * 24 * 3600)
        await ping(talk)


async def test_a_route_that_goes_takes_its_websockets_along_in_their_time_and_no_others() -> None:
    async with open_rig(sweep=OTHERS, tunnel_leave_timeout=20) as rig:
        rig.routes[keys.route("b")] = Route(id="b", domain="b.test", service="app-web")
        app = await shown(rig)
        talk, other = await websocket(rig), await websocket(rig, b"b.test")
        time = Time(rig)
        counts = rig.counts
        del rig.routes[keys.route("r")]
        rig.show(app.address)
        time.look()
        time.passes(19)
        await ping(talk)
        time.passes(2)
        assert await talk.rest() == AWAY
        await until(lambda: app.open == 1)
        assert counts.in_flight == 0
        time.passes(100)
        await ping(other)


async def test_a_route_that_changes_or_comes_back_keeps_its_websockets() -> None:
    async with open_rig(sweep=OTHERS, tunnel_leave_timeout=20) as rig:
        app = await shown(rig)
        time = Time(rig)
        talk = await websocket(rig)
        for path in ("/a", "/"):
            rig.routes[keys.route("r")] = Route(id="r", domain="app.test", path=path, service="app-web")
            rig.show(app.address)
            time.passes(30)
            time.passes(30)
        route = rig.routes.pop(keys.route("r"))
        rig.show(app.address)
        time.passes(15)
        rig.routes[keys.route("r")] = route
        rig.show(app.address)
        time.passes(15)
        del rig.routes[keys.route("r")]
        rig.show(app.address)
        time.passes(15)
        await ping(talk)


async def test_an_instance_that_drains_gives_its_websockets_up_and_the_new_one_gets_them() -> None:
    async with open_rig(sweep=OTHERS, tunnel_leave_timeout=20) as rig:
        old, new = await rig.app(pongs, whole=False), await rig.app(pongs, whole=False)
        rig.show(old.address)
        time = Time(rig)
        talk = await websocket(rig)
        rig.show(old.address, new.address, draining=[old.address])
        time.look()
        time.passes(19)
        await ping(talk)
        assert rig.registry.draining() == {"app-web/i0": 1}
        time.passes(2)
        assert await talk.rest() == AWAY
        assert rig.registry.draining() == {"app-web/i0": 0}
        await ping(await websocket(rig))
        assert len(new.calls) == 1


async def test_tcp_asks_soon_whether_a_silent_peer_is_still_there() -> None:
    async with open_rig() as rig:
        await shown(rig)
        await websocket(rig)
        (client,) = rig.proxy.clients
        assert client.backend is not None
        for transport in (client.transport, client.backend.transport):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            for name, value in KEEP_ALIVE.items():
                assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value


async def test_a_client_that_broke_off_while_it_was_not_read_from_ends_as_the_others_do() -> None:
    async with open_rig(sweep=OTHERS, tunnel_leave_timeout=20) as rig:
        app = await rig.app(deaf, whole=False)
        rig.show(app.address)
        time = Time(rig)
        talk = await websocket(rig)
        (client,) = rig.proxy.clients
        while not client.held:
            talk.writer.write(bytes(65536))
            await asyncio.sleep(0)
        sock = talk.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.writer.transport.abort()
        await talk.close()
        rig.show(app.address, draining=[app.address])
        time.look()
        time.passes(21)
        await until(lambda: not rig.proxy.clients)
        assert rig.registry.draining() == {"app-web/i0": 0}


FRAME = b"\x82\x7e" + (60_000).to_bytes(2) + bytes(60_000)
"""More than is on its way to a slow client at a time, and less than makes the router stop to read from the app."""


async def one_frame(call: Call) -> None:
    call.writer.write(AGREED + FRAME)
    await call.reader.read()


async def slow_websocket(rig: Rig) -> Talk:
    """One that ended before its client has taken the last frame from the router."""
    rig.show((await rig.app(one_frame, whole=False)).address)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", rig.port))
    talk = Talk(*await asyncio.open_connection(sock=sock, limit=512))
    rig.stack.push_async_callback(talk.close)
    await until(lambda: rig.proxy.clients)
    (client,) = rig.proxy.clients
    client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await talk.send(ASK % b"app.test")
    assert (await talk.reply()).status == 101
    await until(client.transport.get_write_buffer_size)
    tunnel.go_away(client)
    return talk


async def test_a_client_that_reads_slowly_gets_all_that_was_sent_before_the_end() -> None:
    async with open_rig(sweep=OTHERS) as rig:
        talk = await slow_websocket(rig)
        time = Time(rig)
        for _ in range(5):
            time.passes(10)
        assert await talk.rest() == FRAME + AWAY


async def test_a_client_that_reads_no_more_is_waited_for_as_long_as_it_may_be_silent() -> None:
    async with open_rig(sweep=OTHERS, idle_timeout=40) as rig:
        await slow_websocket(rig)
        time = Time(rig)
        time.passes(1)
        time.passes(39)
        await asyncio.sleep(0)
        assert rig.proxy.clients
        # The first of these may see that some bytes did go out in between.
        time.passes(41)
        time.passes(41)
        await until(lambda: not rig.proxy.clients)


async def test_an_app_that_reads_nothing_is_not_waited_for_without_end() -> None:
    async with open_rig(sweep=OTHERS, idle_timeout=0.3) as rig:
        app = await rig.app(deaf, whole=False)
        rig.show(app.address)
        talk = await websocket(rig)
        (client,) = rig.proxy.clients
        backend = client.backend
        assert backend is not None
        talk.writer.write(bytes(20_000_000))
        await until(backend.transport.get_write_buffer_size)
        tunnel.go_away(client)
        assert backend.transport.get_write_buffer_size()
        await until(lambda: not backend.transport.get_write_buffer_size())
        talk.writer.transport.abort()

"""Many, slow, deaf and mute peers, and very long bodies: memory stays flat, and others are served meanwhile.

The router is a process of its own; the bounds on its memory are stated in each test.
"""

import asyncio
import socket
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.router.process import Routing, raise_files, routing
from tests.router.rig import PATIENCE, Reply, Talk

pytestmark = [pytest.mark.heavy, pytest.mark.asyncio(loop_factories=["uvloop"])]

MB = 1 << 20
GB = 1 << 30
PIECE = bytes(range(256)) * 1024

GET = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

UPGRADE = b"GET /pings HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PING, PONG, AWAY = b"\x89\x80\0\0\0\0", b"\x8a\x00", b"\x88\x02\x03\xe9"

PROMPT = 1.5
"""Seconds that all requests of an honest client but one take at most, on a machine that does all this at once."""


async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers at once; /mute never; /long with 1 GB; a PUT of 1 GB with the checksum of what it got; /pings with a
    WebSocket that says a pong to each ping."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /mute " in head:
                await reader.read()
                return
            if b" /pings " in head:
                await _pong(reader, writer)
                return
            if b" /long " in head:
                await _say_long(writer)
            elif head.startswith(b"PUT"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%010d" % await checksum(reader))
            else:
                writer.write(OK)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _pong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(AGREED)
    while await reader.readexactly(len(PING)):
        writer.write(PONG)


async def _say_long(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GB)
    for _ in range(GB // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


async def checksum(reader: asyncio.StreamReader) -> int:
    """Of the next GB."""
    left, found = GB, 0
    while left:
        data = await reader.read(min(left, MB))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        found = zlib.crc32(data, found)
    return found


def expected() -> int:
    found = 0
    for _ in range(GB // len(PIECE)):
        found = zlib.crc32(PIECE, found)
    return found


@asynccontextmanager
async def router(**limits: float) -> AsyncIterator[Routing]:
    raise_files()
    server = await asyncio.start_server(app, "127.0.0.1", 0, limit=MB, backlog=4096)
    try:
        async with routing(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", **limits) as running:
            yield running
    finally:
        server.close()


async def served(running: Routing, count: int = 100) -> float:
    """Requests of an honest client, one after the other: the seconds that the slowest but one of them took."""
    talk, times = await running.talk(), list[float]()
    for _ in range(count):
        begun = time.monotonic()
        reply = await talk.ask(GET)
        assert (reply.status, reply.body) == (200, b"ok")
        times.append(time.monotonic() - begun)
    await talk.close()
    return sorted(times)[-2]


def connect(port: int, count: int, first: bytes) -> list[socket.socket]:
    """Connections; on each, `first` is sent, and its answer read."""
    found = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if first:
            sock.sendall(first)
            assert sock.recv(4096)
        found.append(sock)
    return found


async def test_ten_thousand_idle_connections() -> None:
    """Each may cost 6 KiB, whether it has asked something before or not."""
    async with router() as running:
        asked = await asyncio.to_thread(connect, running.port, 5000, GET)
        silent = await asyncio.to_thread(connect, running.port, 5000, b"")
        assert await served(running) < PROMPT
        assert running.grown < 10_000 * 6 * 1024
        for sock in (asked[0], asked[-1], silent[0], silent[-1]):
            sock.sendall(GET)
            assert await asyncio.to_thread(sock.recv, 4096)
        for sock in silent + asked:
            sock.close()
        assert await served(running) < PROMPT


async def test_a_thousand_slow_heads() -> None:
    """All are told 408 at the absolute limit, though each still sends; they may cost 16 KiB each."""
    async with router(head_timeout=3.0) as running:
        talks = [await running.talk() for _ in range(1000)]
        begun = time.monotonic()
        replies = [asyncio.create_task(talk.reply()) for talk in talks]
        for byte in GET[:-2]:
            if all(reply.done() for reply in replies):
                break
            for talk in talks:
                talk.writer.write(bytes([byte]))
            assert await served(running, 20) < PROMPT
            await asyncio.sleep(0.1)
        assert [(await reply).status for reply in replies] == [408] * 1000
        assert time.monotonic() - begun < 15
        assert running.grown < 1000 * 16 * 1024
        for talk in talks:
            await talk.close()


async def test_heads_without_end() -> None:
    """300 clients send 1 MiB of fields each, in one field, in many, or all in the first line: they are told so as soon
    as it is too much, and may cost 64 KiB each."""
    line, one, many = b"GET /" + b"a" * MB, GET[:-2] + b"A: " + b"a" * MB, GET[:-2] + b"A: b\r\n" * (MB // 6)
    async with router() as running:
        for data, status in ((line, 414), (one, 431), (many, 431)):
            statuses = await asyncio.gather(*(poured(running, data) for _ in range(100)))
            assert set(statuses) == {status}
            assert await served(running, 20) < PROMPT
        assert running.grown < 300 * 64 * 1024


async def poured(running: Routing, data: bytes) -> int:
    """The status of the answer that comes while all this is sent."""
    talk = await running.talk()
    talk.writer.write(data)
    try:
        return (await talk.reply()).status
    finally:
        talk.writer.transport.abort()


async def test_clients_that_never_read() -> None:
    """Of twenty answers of 1 GB that nobody takes, each may fill 1 MiB; then they are broken off."""
    async with router(idle_timeout=2.0) as running:
        talks = [await running.talk() for _ in range(20)]
        for talk in talks:
            talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
            talk.writer.write(GET.replace(b"/ ", b"/long "))
        begun = time.monotonic()
        while time.monotonic() - begun < 6:
            assert await served(running, 50) < PROMPT
        assert running.grown < 20 * MB
        for talk in talks:
            await broken(talk)


async def broken(talk: Talk) -> None:
    """What has come of the answer is not the whole."""
    talk.writer.transport.resume_reading()  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await checksum(talk.reader)
    finally:
        talk.writer.transport.abort()


async def test_an_app_that_never_answers() -> None:
    """500 requests to it end with H12 at the limit, and may cost 32 KiB each."""
    async with router(first_byte_timeout=2.0) as running:
        begun = time.monotonic()
        asked = [asyncio.create_task(mute(running)) for _ in range(500)]
        assert await served(running) < PROMPT
        replies = await asyncio.gather(*asked)
        assert {(r.status, r.value("X-Flynn-Error")) for r in replies} == {(503, "H12")}
        assert 2 < time.monotonic() - begun < 15
        assert running.grown < 500 * 32 * 1024


async def mute(running: Routing) -> Reply:
    return await running.ask(GET.replace(b"/ ", b"/mute "))


async def test_two_thousand_idle_websockets() -> None:
    """Pings keep all of them far past every limit, silence ends all; each may cost 16 KiB, and nothing more in time."""
    limits = dict.fromkeys(("head_timeout", "keepalive_timeout", "first_byte_timeout", "idle_timeout"), 2.0)
    async with router(tunnel_idle_timeout=6.0, **limits) as running:
        talks = [talk for _ in range(20) for talk in await asyncio.gather(*(upgraded(running) for _ in range(100)))]
        assert await served(running, 20) < PROMPT
        opened = running.grown
        assert opened < 2000 * 16 * 1024
        begun = time.monotonic()
        while time.monotonic() - begun < 15:
            for talk in talks:
                talk.writer.write(PING)
            for talk in talks:
                async with asyncio.timeout(PATIENCE):
                    assert await talk.reader.readexactly(len(PONG)) == PONG
            assert await served(running, 20) < PROMPT
            await asyncio.sleep(0.5)
        assert running.grown - opened < MB
        begun = time.monotonic()
        assert {await talk.rest() for talk in talks} == {AWAY}
        assert time.monotonic() - begun < 12
        for talk in talks:
            await talk.close()


async def upgraded(running: Routing) -> Talk:
    talk = await running.talk()
    await talk.send(UPGRADE)
    assert (await talk.reply()).status == 101
    return talk


async def test_one_gigabyte_down() -> None:
    """It may fill 8 MiB, and arrives whole."""
    async with router() as running:
        talk = await running.talk()
        await talk.send(GET.replace(b"/ ", b"/long "))
        await talk.reader.readuntil(b"\r\n\r\n")
        taking = asyncio.create_task(checksum(talk.reader))
        assert await served(running, 20) < PROMPT
        async with asyncio.timeout(30):
            assert await taking == expected()
        assert running.grown < 8 * MB
        await talk.close()


async def test_one_gigabyte_up() -> None:
    """It may fill 8 MiB, and arrives whole."""
    async with router() as running:
        talk = await running.talk()
        await talk.send(b"PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\n\r\n" % GB)
        sending = asyncio.create_task(send_long(talk))
        assert await served(running, 20) < PROMPT
        async with asyncio.timeout(30):
            await sending
        assert (await talk.reply()).body == b"%010d" % expected()
        assert running.grown < 8 * MB
        await talk.close()


async def send_long(talk: Talk) -> None:
    for _ in range(GB // len(PIECE)):
        await talk.send(PIECE)

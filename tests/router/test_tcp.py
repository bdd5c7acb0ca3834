"""What passes through TCP routes: every byte, each end, no faster than it is taken."""

import asyncio
import hashlib
import os
import random
import socket
import struct

import pytest

from flynn.router.tcp import Entry
from tests.ports import free_port
from tests.router.rig import PATIENCE, until
from tests.router.tcp_rig import TcpRig, is_reset, open_tcp, silent

ENOUGH = 64 * 1024 * 1024
"""More bytes than all buffers between two programs take."""

ROOM = 512 * 1024
"""Bytes that one passage may keep waiting in the router."""


def entry(tcp: TcpRig) -> Entry:
    [found] = tcp.ports.ports[tcp.port].entries
    return found


async def test_bytes_pass_both_ways_and_a_client_may_end_first() -> None:
    async with open_tcp() as tcp:
        app = await tcp.app()
        tcp.rig.show(app.address)
        talk = await tcp.talk()
        await talk.send(b"early")
        assert await talk.reader.readexactly(5) == b"early"
        data = os.urandom(1 << 20)
        await asyncio.gather(talk.send(data), read := asyncio.create_task(talk.reader.readexactly(len(data))))
        assert read.result() == data
        assert tcp.in_flight() == 1
        talk.writer.write_eof()
        assert await talk.rest() == b"bye"
        await until(lambda: not tcp.in_flight() and not app.open)
        counters = tcp.counters
        assert (counters["connections"], counters["in_flight"], counters["refused"]) == (1, 0, 0)
        assert (counters["received"], counters["sent"]) == (len(data) + 5, len(data) + 8)


async def test_an_app_may_end_first() -> None:
    heard = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"all I say")
        writer.write_eof()
        heard.set_result(await reader.read())

    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app(serve)).address)
        talk = await tcp.talk()
        assert await talk.rest() == b"all I say"
        await talk.send(b"and what I say")
        talk.writer.write_eof()
        assert await asyncio.wait_for(heard, PATIENCE) == b"and what I say"
        await until(lambda: not tcp.in_flight())


async def test_what_is_sent_and_ended_at_once_arrives() -> None:
    """The client's words, and its end, are there before an instance is."""
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        data = os.urandom(100_000)
        for size in (0, 1, 100_000):
            talk = await tcp.talk()
            talk.writer.write(data[:size])
            talk.writer.write_eof()
            assert await talk.rest() == data[:size] + b"bye"


async def test_cuts_change_nothing() -> None:
    chance = random.Random(3)
    data = os.urandom(20_000)
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        for _ in range(20):
            talk = await tcp.talk()
            read = asyncio.create_task(talk.rest())
            at = 0
            while at < len(data):
                size = chance.choice((1, 2, 3, 500, 5000))
                await talk.send(data[at : at + size])
                await asyncio.sleep(0)
                at += size
            talk.writer.write_eof()
            assert await read == data + b"bye"


async def test_thousands_of_short_connections() -> None:
    async def once(number: int) -> None:
        talk = await tcp.talk()
        word = b"%d" % number
        talk.writer.write(word)
        talk.writer.write_eof()
        assert await talk.rest() == word + b"bye"
        await talk.close()

    async with open_tcp() as tcp:
        apps = [await tcp.app() for _ in range(2)]
        tcp.rig.show(*(app.address for app in apps))
        for start in range(0, 1000, 50):
            await asyncio.gather(*(once(number) for number in range(start, start + 50)))
        await until(lambda: not tcp.in_flight())
        assert (tcp.counters["connections"], tcp.counters["refused"], tcp.counters["in_flight"]) == (1000, 0, 0)
        assert sum(app.conns for app in apps) == 1000
        assert min(app.conns for app in apps) > 250, "two are drawn, and the one with less is taken"


async def test_an_app_that_does_not_read_holds_the_client_up_and_no_memory() -> None:
    go, sums = asyncio.Event(), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        digest = hashlib.sha256()
        while data := await reader.read(1 << 20):
            digest.update(data)
        sums.append(digest.digest())

    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app(serve)).address)
        talk = await tcp.talk()
        await _flooded(tcp, talk.writer, bytes(1 << 20))
        go.set()
        await talk.writer.drain()
        talk.writer.write_eof()
        await until(lambda: sums)
        assert sums == [hashlib.sha256(bytes(entry_total(tcp))).digest()]


async def test_a_client_that_does_not_read_holds_the_app_up_and_no_memory() -> None:
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()

    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app(serve)).address)
        talk = await tcp.talk()
        await until(lambda: writers)
        sent = await _flooded(tcp, writers[0], bytes(1 << 20))
        writers[0].write_eof()
        assert len(await talk.rest()) == sent


def entry_total(tcp: TcpRig) -> int:
    """Bytes that came from the client."""
    return int(tcp.counters["received"])


async def _flooded(tcp: TcpRig, writer: asyncio.StreamWriter, piece: bytes) -> int:
    """Write until nothing moves any more; the bytes written. The router must keep next to nothing of them."""
    sent = 0
    while sent < ENOUGH:
        writer.write(piece)
        sent += len(piece)
        try:
            async with asyncio.timeout(0.5):
                await writer.drain()
        except TimeoutError:
            break
        assert entry(tcp)._backlog() <= ROOM
    assert sent < ENOUGH, "nobody held the sender up"
    assert entry(tcp)._backlog() <= ROOM
    return sent


async def test_another_instance_is_tried_when_one_does_not_accept() -> None:
    async with open_tcp() as tcp:
        app = await tcp.app()
        tcp.rig.show(*(f"127.0.0.1:{free_port()}" for _ in range(3)), app.address)
        for _ in range(8):
            talk = await tcp.talk()
            await talk.send(b"hello")
            assert await talk.reader.readexactly(5) == b"hello"
            await talk.close()
        await until(lambda: not tcp.in_flight())
        assert tcp.counters["retries"] >= 3
        assert tcp.counters["refused"] == 0


async def test_an_instance_whose_host_is_no_name_is_as_one_that_refuses() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show("a..b:80")
        assert await is_reset(await tcp.talk())
        assert not tcp.in_flight()


async def test_no_more_than_four_are_tried() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show(*(f"127.0.0.1:{free_port()}" for _ in range(6)))
        assert await is_reset(await tcp.talk())
        assert (tcp.counters["retries"], tcp.counters["refused"]) == (3, 1)


async def test_an_instance_that_never_accepts_is_not_waited_for() -> None:
    listener, fillers = silent()
    async with open_tcp({"connect_timeout": 0.1}) as tcp:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        tcp.rig.show(address)
        assert await is_reset(await tcp.talk())
        app = await tcp.app()
        tcp.rig.show(address, app.address)
        for _ in range(3):
            talk = await tcp.talk()
            talk.writer.write_eof()
            assert await talk.rest() == b"bye"
    for sock in (listener, *fillers):
        sock.close()


async def test_what_comes_while_an_instance_is_sought_waits_and_takes_no_room() -> None:
    listener, fillers = silent()
    async with open_tcp({"connect_timeout": 0.3}) as tcp:
        app, address = await tcp.app(), f"127.0.0.1:{listener.getsockname()[1]}"
        tcp.rig.show(address)
        ended, talk = await tcp.talk(), await tcp.talk()
        await until(lambda: tcp.in_flight() == 2)
        tcp.rig.show(address, app.address)
        ended.writer.write_eof()
        data = os.urandom(1 << 23)
        read = asyncio.create_task(talk.reader.readexactly(len(data)))
        talk.writer.write(data)
        while any(entry.dial for entry in tcp.ports.ports[tcp.port].entries):
            assert max(len(entry.early) for entry in tcp.ports.ports[tcp.port].entries) <= ROOM
            await asyncio.sleep(0.01)
        assert await ended.rest() == b"bye"
        assert await asyncio.wait_for(read, PATIENCE) == data
        assert tcp.counters["retries"] == 2
    for sock in (listener, *fillers):
        sock.close()


async def test_a_client_that_goes_while_an_instance_is_sought() -> None:
    listener, fillers = silent()
    async with open_tcp() as tcp:
        tcp.rig.show(f"127.0.0.1:{listener.getsockname()[1]}")
        talk = await tcp.talk()
        await until(lambda: tcp.in_flight() == 1)
        talk.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.writer.transport.abort()
        await until(lambda: not tcp.in_flight() and not tcp.counters["in_flight"])
    for sock in (listener, *fillers):
        sock.close()


async def test_without_an_instance_the_connection_is_broken_at_once() -> None:
    async with open_tcp() as tcp:
        assert await is_reset(await tcp.talk())
        assert tcp.counters["refused"] == 1


async def test_too_many_are_refused_and_those_before_go_on() -> None:
    async with open_tcp({"max_in_flight": 2}) as tcp:
        app = await tcp.app()
        tcp.rig.show(app.address)
        first, second = await tcp.talk(), await tcp.talk()
        await until(lambda: app.open == 2)
        assert await is_reset(await tcp.talk())
        await first.close()
        await until(lambda: tcp.in_flight() == 1)
        third = await tcp.talk()
        await third.send(b"in")
        assert await third.reader.readexactly(2) == b"in"
        await second.send(b"still")
        assert await second.reader.readexactly(5) == b"still"


@pytest.mark.parametrize("options", [{"idle_timeout": 0.3}, {}])
async def test_idle_connections_are_broken_off(options: dict[str, float]) -> None:
    async with open_tcp(options, **({} if options else {"tcp_idle_timeout": 0.3})) as tcp:
        app = await tcp.app()
        tcp.rig.show(app.address)
        busy, idle = await tcp.talk(), await tcp.talk()
        await idle.send(b"x")
        assert await idle.reader.readexactly(1) == b"x"
        closed = asyncio.create_task(is_reset(idle))
        while not closed.done():
            await busy.send(b"x")
            assert await busy.reader.readexactly(1) == b"x"
            await asyncio.sleep(0.02)
        assert closed.result()
        await busy.send(b"y")
        assert await busy.reader.readexactly(1) == b"y"
        await until(lambda: app.open == 1)


async def test_all_go_to_the_leader_if_the_route_says_so() -> None:
    async with open_tcp({"leader": True}) as tcp:
        apps = [await tcp.app() for _ in range(3)]
        tcp.rig.show(*(app.address for app in apps))
        leader = tcp.rig.registry.services["app-web"].leader()
        assert leader is not None
        for _ in range(6):
            talk = await tcp.talk()
            talk.writer.write_eof()
            assert await talk.rest() == b"bye"
        assert [app.conns for app in apps] == [6 if app.port == leader.port else 0 for app in apps]
        tcp.rig.show(*(f"127.0.0.1:{free_port()}" if app.port == leader.port else app.address for app in apps))
        assert await is_reset(await tcp.talk())
        assert tcp.counters["retries"] == 0


async def test_a_break_on_one_side_is_a_break_on_the_other() -> None:
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()
        lost.append(True)

    lost: list[bool] = []
    linger = struct.pack("ii", 1, 0)
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app(serve)).address)
        talk = await tcp.talk()
        await until(lambda: writers)
        writers[0].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writers[0].transport.abort()
        assert await is_reset(talk)
        talk = await tcp.talk()
        await until(lambda: len(writers) == 2)
        talk.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        talk.writer.transport.abort()
        await until(lambda: not tcp.in_flight() and not tcp.ports.ports[tcp.port].entries)


async def test_a_draining_instance_keeps_its_connections_and_gets_no_more() -> None:
    async with open_tcp() as tcp:
        old, new = await tcp.app(), await tcp.app()
        tcp.rig.show(old.address)
        talk = await tcp.talk()
        await until(lambda: old.open)
        told: list[dict[str, int]] = []
        tcp.rig.registry.when_less = lambda: told.append(tcp.rig.registry.draining())
        tcp.rig.show(old.address, new.address, draining=[old.address])
        for target in tcp.rig.registry.services["app-web"].instances.values():
            target.when_less = tcp.rig.registry.when_less
        assert tcp.rig.registry.draining() == {"app-web/i0": 1}
        for _ in range(5):
            other = await tcp.talk()
            await other.send(b"x")
            assert await other.reader.readexactly(1) == b"x"
        assert (old.conns, new.conns) == (1, 5)
        await talk.send(b"still")
        assert await talk.reader.readexactly(5) == b"still"
        assert told == []
        talk.writer.write_eof()
        assert await talk.rest() == b"bye"
        await until(lambda: told)
        assert told[-1] == {"app-web/i0": 0}

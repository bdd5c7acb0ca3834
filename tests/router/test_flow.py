"""Slow and vanishing peers, deadlines, and memory."""

import asyncio
import os

import psutil
import pytest

from flynn.router.deadlines import sweep
from tests.router.rig import GET, OK, Call, always, open_rig, until

BIG = 1 << 30
PIECE = b"x" * 65536


def memory() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


async def test_a_slow_client_of_a_large_answer_costs_little_memory() -> None:
    sent = 0

    async def answer(call: Call) -> None:
        nonlocal sent
        call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        while sent < BIG:
            call.writer.write(PIECE)
            await call.writer.drain()
            sent += len(PIECE)

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        before = memory()
        talk = await rig.talk()
        talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await talk.send(GET)
        await until(lambda: any(client.choked for client in rig.proxy.clients))
        last = -1
        while last != sent:
            last = sent
            await asyncio.sleep(0.2)
        assert sent < 32 << 20
        (client,) = rig.proxy.clients
        assert client.choked
        assert client.transport.get_write_buffer_size() < 1 << 20
        assert memory() - before < 16 << 20
        talk.writer.transport.resume_reading()  # type: ignore[attr-defined]
        taken = 0
        while taken < 64 << 20:
            taken += len(await talk.reader.read(1 << 20))
        assert client.transport.get_write_buffer_size() < 1 << 20
        await talk.close()
        await until(lambda: app.open == 0)


async def test_a_slow_app_holds_back_a_large_upload() -> None:
    go_on = asyncio.Event()

    async def answer(call: Call) -> bytes:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go_on.wait()
        call.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await call.reader.readexactly(64 << 20)
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer, whole=False)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        await until(lambda: app.calls)
        sent = 0

        async def upload() -> None:
            nonlocal sent
            while sent < 64 << 20:
                await talk.send(PIECE)
                sent += len(PIECE)

        uploading = asyncio.create_task(upload())
        await until(lambda: any(client.held for client in rig.proxy.clients))
        last = -1
        while last != sent:
            last = sent
            await asyncio.sleep(0.2)
        assert sent < 32 << 20
        (client,) = rig.proxy.clients
        assert client.held
        go_on.set()
        await uploading
        assert (await talk.reply()).status == 200


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_goes_away_ends_the_work_for_it(begun: bool) -> None:
    async def answer(call: Call) -> bytes | None:
        if begun:
            call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await call.reader.read()
        return None

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        await until(lambda: app.calls)
        if begun:
            await talk.reader.readuntil(b"some")
        await talk.close()
        await until(lambda: app.open == 0)
        assert (rig.counts.gone, rig.counts.in_flight, len(app.calls)) == (1, 0, 1)


@pytest.mark.parametrize("abort", [False, True])
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1073741824\r\n\r\nsome", b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"]
)
async def test_a_client_that_goes_away_in_its_upload_ends_the_work_for_it(framing: bytes, abort: bool) -> None:
    """The app never takes what it got for the whole."""
    got = bytearray()

    async def answer(call: Call) -> bytes | None:
        while data := await call.reader.read(100):
            got.extend(data)
        return None

    async with open_rig() as rig:
        app = await rig.app(answer, whole=False)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\n" + framing)
        whole = framing.partition(b"\r\n\r\n")[2]
        await until(lambda: got == whole)
        if abort:
            talk.writer.transport.abort()
        await talk.close()
        await until(lambda: app.open == 0)
        assert got == whole
        assert (rig.counts.gone, rig.counts.in_flight, len(app.calls)) == (1, 0, 1)


@pytest.mark.parametrize("asks", [GET[:-2] + b"Connection: close\r\n\r\n", GET.replace(b"1.1", b"1.0")])
async def test_a_client_that_has_sent_its_last_request_may_end_its_side_and_is_answered(asks: bytes) -> None:
    go = asyncio.Event()

    async def answer(call: Call) -> bytes:
        await go.wait()
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(asks)
        talk.writer.write_eof()
        await until(lambda: len(app.calls) == 1)
        go.set()
        assert (await talk.rest()).endswith(b"\r\n\r\nok")
        await until(lambda: not rig.proxy.clients)


async def test_a_head_that_dribbles_in_is_given_up() -> None:
    async with open_rig(head_timeout=0.4) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        replying = asyncio.create_task(talk.reply())
        for byte in GET[:-2]:
            if replying.done():
                break
            await talk.send(bytes([byte]))
            assert (await rig.ask()).status == 200
            await asyncio.sleep(0.03)
        reply = await replying
        assert (reply.status, reply.value("Connection")) == (408, "close")


async def test_connections_without_a_request_are_closed_without_a_word() -> None:
    async with open_rig(head_timeout=0.1, keepalive_timeout=0.1) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        silent = await rig.talk()
        assert await silent.rest() == b""
        kept = await rig.talk()
        assert (await kept.ask()).status == 200
        assert await kept.rest() == b""


async def test_an_app_that_does_not_answer() -> None:
    async def answer(call: Call) -> None:
        await call.reader.read()

    async with open_rig(first_byte_timeout=0.2) as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        reply = await talk.ask()
        assert (reply.status, reply.value("X-Flynn-Error")) == (503, "H12")
        await until(lambda: app.open == 0)
        assert (await talk.ask()).status == 503


async def test_an_app_that_falls_silent_in_its_answer() -> None:
    async def answer(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await call.reader.read()

    async with open_rig(idle_timeout=0.2) as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        with pytest.raises(ConnectionResetError):
            await talk.rest()
        await until(lambda: app.open == 0)


async def test_a_client_that_stops_in_its_upload() -> None:
    async with open_rig(idle_timeout=0.2) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nsome")
        reply = await talk.reply()
        assert (reply.status, reply.value("X-Flynn-Error")) == (408, "H28")
        assert await talk.rest() == b""
        await until(lambda: app.open == 0)


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    async def answer(call: Call) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20) + b"x" * (64 << 20)

    async with open_rig(idle_timeout=0.3) as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await talk.send(GET)
        await until(lambda: rig.proxy.clients)
        await until(lambda: not rig.proxy.clients)
        await until(lambda: app.open == 0)


async def test_a_client_that_takes_its_time_does_not_make_its_request_younger() -> None:
    """How long it took is counted, and when it began is logged."""
    size = 32 * 1024 * 1024
    async with open_rig() as rig:
        app = await rig.app(always(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        await until(lambda: any(client.choked for client in rig.proxy.clients))
        [client] = rig.proxy.clients
        began = client.since
        sweep(client, rig.proxy.clock() + 1000)
        assert not client.transport.is_closing()
        assert client.since == began
        assert len((await talk.reply()).body) == size


async def test_too_many_clients_are_turned_away() -> None:
    async with open_rig(max_clients=2) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        first, second = await rig.talk(), await rig.talk()
        assert (await first.ask()).status == (await second.ask()).status == 200
        third = await rig.talk()
        assert (await third.reply()).status == 503
        assert (await first.ask()).status == 200

"""What apps do wrong, and what their clients get of it."""

import asyncio
import socket
import struct

import pytest

from tests.ports import free_port
from tests.router.rig import GET, OK, App, Call, Rig, always, open_rig, until
from tests.router.tcp_rig import silent

POST = b"POST /p HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def refused() -> str:
    return f"127.0.0.1:{free_port()}"


async def code(rig: Rig, data: bytes = GET) -> tuple[int, str | None]:
    reply = await rig.ask(data)
    return reply.status, reply.value("X-Flynn-Error")


async def test_refused_connections_go_to_another_instance_even_with_a_body() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(refused(), refused(), app.address, refused())
        for _ in range(20):
            assert (await rig.ask(POST)).status == 200
        assert [call.body for call in app.calls] == [b"hello"] * 20
        # Three are set aside after one refusal each: they cost three tries, not one of each request.
        assert rig.counts.retries <= 3


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".test"], ids=["empty label", "long label"])
async def test_an_instance_whose_host_is_no_name_is_as_one_that_refuses(host: str) -> None:
    async with open_rig() as rig:
        rig.show(f"{host}:80")
        assert await code(rig) == (503, "H21")
        app = await rig.app(always(OK))
        rig.show(f"{host}:80", app.address)
        assert await code(rig) == (200, None)


async def test_at_most_four_instances_are_tried() -> None:
    async with open_rig() as rig:
        rig.show(*[refused() for _ in range(6)])
        assert await code(rig) == (503, "H21")
        assert rig.counts.retries == 3


async def test_an_instance_that_returns_is_used_again_at_once_when_it_is_the_only_one() -> None:
    async with open_rig() as rig:
        port = free_port()
        rig.show(f"127.0.0.1:{port}")
        assert (await code(rig))[0] == 503
        app = App(always(OK))
        server = await asyncio.start_server(app.serve, "127.0.0.1", port)
        assert (await rig.ask()).status == 200
        server.close()


async def test_connect_timeout() -> None:
    listener, fillers = silent()
    async with open_rig(connect_timeout=0.2) as rig:
        rig.show(f"127.0.0.1:{listener.getsockname()[1]}")
        assert await code(rig) == (503, "H19")
        app = await rig.app(always(OK))
        rig.show(f"127.0.0.1:{listener.getsockname()[1]}", app.address)
        for _ in range(4):
            assert (await rig.ask()).status == 200
    for sock in (listener, *fillers):
        sock.close()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "H13"),
        (b"hello there\r\n\r\n", "H17"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "H17"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "H17"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "H17"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "H17"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "H17"),
        (b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "H17"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n", "H17"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "H17"),
        (b"HTTP/1.1 103 Hints\r\n\r\n" * 300 + OK, "H17"),
        (CHUNKED + b"zz\r\n", "H17"),
    ],
)
async def test_bad_answers_become_502(answer: bytes | None, fault: str) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(answer))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        reply = await talk.reply()
        while reply.status == 103:
            reply = await talk.reply()
        assert (reply.status, reply.value("X-Flynn-Error")) == (502, fault)
        assert rig.counts.in_flight == 0
        await until(lambda: app.open == 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
async def test_a_cut_body_never_ends_cleanly(answer: bytes) -> None:
    async def cut(call: Call) -> None:
        call.writer.write(answer)
        await call.writer.drain()

    async with open_rig() as rig:
        app = await rig.app(cut)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await talk.reply()


async def test_a_reset_in_a_body_without_a_length_is_no_clean_end() -> None:
    async def answer(call: Call) -> None:
        call.writer.write(b"HTTP/1.0 200 OK\r\n\r\nsome")
        await call.writer.drain()
        await call.reader.readexactly(1)
        sock = call.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        call.writer.transport.abort()

    async with open_rig() as rig:
        app = await rig.app(answer, whole=False)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\n")
        await talk.reader.readuntil(b"some")
        await talk.send(b"x")
        with pytest.raises(ConnectionResetError):
            await talk.rest()


async def test_bytes_after_an_answer_are_dropped_with_the_connection() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
        rig.show(app.address)
        talk = await rig.talk()
        for _ in range(3):
            assert (await talk.ask()).body == b"ok"
        assert app.conns == 3


async def test_an_idle_connection_that_speaks_unasked_is_not_used() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.ask()
        app.calls[0].writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await until(lambda: app.open == 0)
        assert (await talk.ask()).body == b"ok"


def dies_when_reused() -> App:
    """The first request of each connection is answered; the second one ends it without a byte."""
    app = App(always(OK))

    async def answer(call: Call) -> bytes | None:
        return OK if sum(c.conn == call.conn for c in app.calls) == 1 else None

    app.answer = answer
    return app


async def start(rig: Rig, app: App) -> None:
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    app.port = server.sockets[0].getsockname()[1]
    rig.stack.callback(server.close)
    rig.show(app.address)


async def test_a_get_on_a_warm_connection_that_died_is_sent_again_on_a_new_one() -> None:
    async with open_rig() as rig:
        app = dies_when_reused()
        await start(rig, app)
        talk = await rig.talk()
        for _ in range(3):
            assert (await talk.ask()).status == 200
        assert (app.conns, len(app.calls)) == (3, 5)
        assert rig.counts.replays == 2


async def test_a_post_is_never_sent_twice() -> None:
    async with open_rig() as rig:
        app = dies_when_reused()
        await start(rig, app)
        talk = await rig.talk()
        assert (await talk.ask()).status == 200
        reply = await talk.ask(POST)
        assert (reply.status, reply.value("X-Flynn-Error")) == (502, "H13")
        assert [call.body for call in app.calls] == [b"", b"hello"]


async def test_a_get_is_not_sent_again_when_a_new_connection_dies() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(None))
        rig.show(app.address)
        assert await code(rig) == (502, "H13")
        assert len(app.calls) == 1


async def test_an_orphan_serves_as_a_last_resort_until_it_refuses() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        rig.show()
        service = rig.registry.services["app-web"]
        assert (len(service.targets), len(service.orphans)) == (0, 1)
        assert (await rig.ask()).status == 200
        rig.registry.tick(rig.proxy.clock() + 31)
        assert await code(rig) == (503, "H14")
        rig.show(refused())
        rig.show()
        assert await code(rig) == (503, "H21")
        assert await code(rig) == (503, "H14")


async def test_an_orphan_takes_nothing_while_an_instance_is_registered() -> None:
    async with open_rig() as rig:
        lost, other = await rig.app(always(OK)), await rig.app(always(OK))
        rig.show(other.address, lost.address)
        rig.show(other.address)
        for _ in range(10):
            assert (await rig.ask()).status == 200
        assert (len(lost.calls), len(other.calls)) == (0, 10)


async def test_the_fault_is_told_as_the_client_likes_it() -> None:
    async with open_rig() as rig:
        text = await rig.ask(GET)
        assert text.value("Content-Type") == "text/plain; charset=utf-8"
        assert (
            text.body == f"The app has no web process running. (H14, request {text.value('X-Request-Id')})\n".encode()
        )
        page = await rig.ask(GET[:-2] + b"Accept: text/html,*/*\r\n\r\n")
        assert page.body.startswith(b"<!doctype html>")
        json = await rig.ask(GET[:-2] + b"Accept: application/json\r\nX-Request-Id: abcdefghijklmnopqrst\r\n\r\n")
        assert b'"code": "H14"' in json.body
        assert b'"request_id": "abcdefghijklmnopqrst"' in json.body

"""WebSockets and their like: HTTP until the app agrees, then bytes."""

import asyncio

import pytest

from tests.router.rig import OK, Call, Rig, Talk, always, open_rig, until

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, %b\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


async def echo(call: Call) -> None:
    call.writer.write(AGREED + b"welcome ")
    while data := await call.reader.read(65536):
        call.writer.write(data)
        await call.writer.drain()
    if not call.writer.is_closing():
        call.writer.write(b"bye")


async def agreed(rig: Rig, word: bytes = b"Upgrade") -> Talk:
    talk = await rig.talk()
    await talk.send(ASK % word + b"early ")
    reply = await talk.reply()
    assert reply.status == 101
    assert (reply.value("Connection"), reply.value("Upgrade")) == ("Upgrade", "websocket")
    assert await talk.reader.readexactly(14) == b"welcome early "
    return talk


@pytest.mark.parametrize("word", [b"Upgrade", b"upgrade", b"UPGRADE"])
async def test_bytes_pass_both_ways_after_an_upgrade(word: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        talk = await agreed(rig, word)
        assert app.calls[0].values("Connection") == ["Upgrade"]
        assert app.calls[0].values("Upgrade") == ["WebSocket"]
        data = bytes(range(256)) * 4096
        await talk.send(data)
        assert await talk.reader.readexactly(len(data)) == data
        assert rig.counts.in_flight == 1
        # Each side ends for itself: the app still answers after the client has said all.
        talk.writer.write_eof()
        assert await talk.rest() == b"bye"
        await until(lambda: not rig.proxy.clients and not app.open)
        assert rig.counts.in_flight == 0


async def test_a_tunnel_outlives_all_timeouts() -> None:
    limits = dict.fromkeys(("idle_timeout", "first_byte_timeout", "head_timeout", "keepalive_timeout"), 0.3)
    async with open_rig((), **limits) as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        talk = await agreed(rig)
        rig.show(app.address, draining=[app.address])
        await asyncio.sleep(1.0)
        await talk.send(b"still here")
        assert await talk.reader.readexactly(10) == b"still here"
        assert rig.registry.draining() == {"app-web/i0": 1}


async def test_either_side_ends_the_other() -> None:
    async with open_rig() as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        talk = await agreed(rig)
        app.calls[0].writer.close()
        assert await talk.rest() == b""
        await talk.close()
        talk = await agreed(rig)
        talk.writer.transport.abort()
        await until(lambda: not rig.proxy.clients and not app.open)


async def test_the_end_of_a_client_that_said_all_before_the_app_agreed_reaches_the_app() -> None:
    agree = asyncio.Event()

    async def late(call: Call) -> None:
        await agree.wait()
        await echo(call)

    async with open_rig() as rig:
        app = await rig.app(late)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(ASK % b"close, Upgrade" + b"all")
        talk.writer.write_eof()
        await until(lambda: [client for client in rig.proxy.clients if client.halves])
        agree.set()
        assert (await talk.reply()).status == 101
        assert await talk.rest() == b"welcome allbye"
        await until(lambda: not rig.proxy.clients and not app.open)


async def test_an_app_may_decline() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        assert (await talk.ask(ASK % b"upgrade")).body == b"ok"
        assert (await talk.ask(ASK % b"upgrade")).body == b"ok"


async def test_h2c_is_not_offered_to_apps() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        await rig.ask(
            b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        for name in ("Upgrade", "Connection", "HTTP2-Settings"):
            assert app.calls[0].values(name) == []

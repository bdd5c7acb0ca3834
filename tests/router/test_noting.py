"""What the access log says of real requests, whoever ended them."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from flynn.router.access import AccessLog
from flynn.router.entry import FORMS, Entry
from flynn.router.logfile import LogFile
from flynn.router.noting import noting
from tests.router.rig import GET, OK, Call, Rig, always, body_of, open_rig, until


class Kept(AccessLog):
    """A log that keeps what it is given."""

    def __init__(self, sample: float = 1.0) -> None:
        super().__init__(LogFile("unused"), FORMS["heroku"], sample, chance=lambda: 0.5)
        self.entries: list[Entry] = []

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)


@asynccontextmanager
async def logging(sample: float = 1.0, trusted: Iterable[str] = (), **limits: float) -> AsyncIterator[tuple[Rig, Kept]]:
    access = Kept(sample)
    async with open_rig(tuple(map(ipaddress.ip_network, trusted)), **limits) as rig:
        rig.proxy.access = noting(access, rig.proxy)
        yield rig, access


async def test_an_answered_request() -> None:
    async def slowly(call: Call) -> bytes:
        await asyncio.sleep(0.05)
        return body_of("hello")

    async with logging() as (rig, access):
        app = await rig.app(slowly)
        rig.show(app.address)
        before = time.time()
        reply = await rig.ask(
            b"GET /a%20b?c=d HTTP/1.1\r\nHost: app.test:80\r\nX-Request-Id: 0123456789abcdefghij\r\n\r\n"
        )
        [entry] = access.entries
        assert abs(entry.time - before) < 1
        assert (entry.method, entry.target, entry.host) == (b"GET", b"/a%20b?c=d", b"app.test:80")
        assert entry.id == b"0123456789abcdefghij" == (app.calls[0].values("X-Request-Id")[0]).encode()
        assert (entry.status, entry.size, entry.code) == (200, len(reply.body), "")
        assert (entry.route, entry.instance) == ("r", "app-web/i0")
        assert (entry.address, entry.forwarded) == ("127.0.0.1", b"127.0.0.1")
        assert entry.service_ms >= 49
        assert entry.connect_ms >= 0


async def test_bodies_are_counted_as_they_are_sent() -> None:
    async with logging() as (rig, access):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        app = await rig.app(always(chunked))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.ask()
        await talk.send(GET.replace(b"GET", b"HEAD"))
        await talk.reply(bodiless=True)
        await until(lambda: len(access.entries) == 2)
        assert [entry.size for entry in access.entries] == [len(b"3\r\nabc\r\n0\r\n\r\n"), 0]


async def test_the_router_s_own_answers() -> None:
    async with logging() as (rig, access):
        app = await rig.app(always(body_of("a" * 1000)))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.ask()
        rig.show(app.address, draining=[app.address])
        await talk.ask()
        await talk.ask(GET.replace(b"app.test", b"none.test"))
        _, none, unknown = access.entries
        assert (none.status, none.code, none.route, none.instance) == (503, "H14", "r", "")
        assert (none.connect_ms, none.service_ms, none.size) == (-1, -1, 0)
        assert none.desc == "The app has no web process running."
        assert (unknown.status, unknown.code, unknown.route) == (404, "no-route", "")


async def test_an_app_that_does_not_answer_in_time() -> None:
    async with logging(first_byte_timeout=0.5) as (rig, access):
        app = await rig.app(always(None), whole=False)
        never = await rig.app(_never)
        rig.show(never.address)
        assert (await rig.ask()).status == 503
        rig.show(app.address)
        assert (await rig.ask(GET.replace(b"GET", b"POST"))).status == 502
        late, closed = access.entries
        assert (late.code, late.instance) == ("H12", "app-web/i0")
        assert late.service_ms >= 500
        assert closed.code == "H13"


async def _never(call: Call) -> bytes:
    await asyncio.sleep(20)
    return OK


async def test_a_client_that_goes_away() -> None:
    async with logging() as (rig, access):
        app = await rig.app(_never)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        await until(lambda: app.calls)
        await talk.close()
        await until(lambda: not rig.proxy.clients)
        assert [(entry.status, entry.code) for entry in access.entries] == [(499, "H27")]


@pytest.mark.parametrize(
    ("who", "code", "status"), [("app ends", "H18", 502), ("app rests", "H15", 503), ("client ends", "H27", 499)]
)
async def test_who_breaks_off_an_answer(who: str, code: str, status: int) -> None:
    async def half(call: Call) -> bytes | None:
        call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        if who != "app ends":
            await call.reader.read()
        return None

    async with logging(idle_timeout=0.2 if who == "app rests" else 10) as (rig, access):
        app = await rig.app(half)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        assert await talk.reader.readuntil(b"half")
        if who == "client ends":
            talk.writer.transport.abort()
        await until(lambda: not rig.proxy.clients)
        [entry] = access.entries
        assert (entry.code, entry.status, entry.size, entry.instance) == (code, status, 4, "app-web/i0")


async def test_a_body_that_does_not_come() -> None:
    async with logging(idle_timeout=0.1) as (rig, access):
        app = await rig.app(always(OK))
        rig.show(app.address)
        await rig.ask(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1073741824\r\n\r\nsome")
        await until(lambda: not rig.proxy.clients)
        assert [(entry.code, entry.status) for entry in access.entries] == [("H28", 408)]


async def test_what_a_trusted_proxy_says_is_in_it() -> None:
    request = GET[:-2] + b"X-Forwarded-For: 1.2.3.4\r\n\r\n"
    for trusted, said in (((), b"127.0.0.1"), (("127.0.0.0/8",), b"1.2.3.4, 127.0.0.1")):
        async with logging(trusted=trusted) as (rig, access):
            app = await rig.app(always(OK))
            rig.show(app.address)
            await rig.ask(request)
            assert access.entries[0].forwarded == said
            assert app.calls[0].values("X-Forwarded-For") == [said.decode()]


async def test_a_sample_has_all_that_failed() -> None:
    async with logging(sample=0.4) as (rig, access):
        app = await rig.app(always(OK))
        rig.show(app.address)
        assert (await rig.ask()).status == 200
        assert access.entries == []
        rig.show(app.address, draining=[app.address])
        assert (await rig.ask()).status == 503
        assert [entry.code for entry in access.entries] == ["H14"]


async def test_an_upgraded_connection_is_one_line_when_it_ends() -> None:
    async def upgrade(call: Call) -> bytes | None:
        call.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        await call.reader.read(1)
        return None

    async with logging() as (rig, access):
        app = await rig.app(upgrade)
        rig.show(app.address)
        talk = await rig.talk()
        assert (await talk.ask(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n")).status == 101
        assert access.entries == []
        await talk.send(b"a")
        assert await talk.rest() == b""
        await talk.close()
        await until(lambda: access.entries)
        [entry] = access.entries
        assert (entry.status, entry.code, entry.instance) == (101, "", "app-web/i0")

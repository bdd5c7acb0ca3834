"""Requests that are none, or that two readers could read in two ways: refused, and never passed on."""

import pytest

from tests.router.rig import OK, always, open_rig

HOST = b"Host: app.test\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def post(*fields: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(f + b"\r\n" for f in fields) + b"\r\nhello"


BAD = [
    (400, post(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    (400, post(b"Content-Length: 5", b"Content-Length: 6")),
    (400, post(b"Content-Length: 5", b"Content-Length: 5")),
    *[
        (400, post(b"Content-Length: " + value))
        for value in (b"5, 5", b"+5", b"-1", b"0x10", b"1_0", b"", b"9" * 30, b"5 5", b"\xb2", b"5;")
    ],
    *[
        (400, post(b"Transfer-Encoding: " + value))
        for value in (b"xchunked", b"chunked, identity", b",chunked", b"\x0bchunked", b"gzip, chunked", b"")
    ],
    (400, post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    (400, get(HOST + b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0") + b"0\r\n\r\n"),
    (400, get(b"")),
    (400, get(HOST + HOST)),
    *[
        (400, get(b"Host:" + value + b"\r\n"))
        for value in (b"", b" a@b", b" a\x00.b", b" a b", b" a,b", b" a/b", b" a:b", b" [::1", b" a:123456")
    ],
    (400, get(HOST + b"Bad Name: x\r\n")),
    (400, get(HOST + b"Space : x\r\n")),
    (400, get(HOST + b" folded: x\r\n")),
    (400, get(HOST + b"A: x\r\n folded\r\n")),
    (400, get(HOST + b": x\r\n")),
    (400, get(HOST + b"nocolon\r\n")),
    (400, get(HOST + b"A: b\rc\r\n")),
    (400, get(HOST + b"A: b\nC: d\r\n")),
    (400, get(HOST + b"A: b\x00\r\n")),
    (400, get(HOST + b"A: \x7f\r\n")),
    (400, b"GET / HTTP/1.1\n" + HOST + b"\n"),
    (400, b"GET / HTTP/1.1\r\nHost: app.test\n\n"),
    (400, get(HOST, b"GET ! HTTP/1.1")),
    (400, get(HOST, b"GET /\xff HTTP/1.1")),
    (400, get(HOST, b"GET /#a HTTP/1.1")),
    (400, get(HOST, b"GET  / HTTP/1.1")),
    (400, get(HOST, b"GET / a HTTP/1.1")),
    (400, get(HOST, b"GET\t/ HTTP/1.1")),
    (400, get(HOST, b"G@T / HTTP/1.1")),
    (400, get(HOST, b"GET * HTTP/1.1")),
    (400, get(HOST, b"GET http://a@app.test/ HTTP/1.1")),
    (400, get(HOST, b"GET ftp://app.test/ HTTP/1.1")),
    (400, get(b"", b"GET http://app.test HTTP/1.1")),
    (400, get(HOST, b"GET / http/1.1")),
    (400, get(HOST, b"GET / HTTP/1.1 ")),
    (400, b"GET /\r\n\r\n"),
    (400, b"GET /\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (400, b"\r\n\r\n\r\nx\x00\r\n"),
    (405, get(HOST, b"CONNECT app.test:443 HTTP/1.1")),
    (414, get(HOST, b"GET /" + b"a" * 9000 + b" HTTP/1.1")),
    (414, b"GET /" + b"a" * 9000),
    (417, get(HOST + b"Expect: junk\r\n")),
    (431, get(HOST + b"A: " + b"a" * 9000 + b"\r\n")),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 9000),
    (431, get(HOST + b"A: b\r\n" * 100)),
    (431, get(HOST + b"A: b\r\n" * 5000)),
    (431, get(HOST + (b"A: " + b"a" * 4000 + b"\r\n") * 25)),
    (505, get(HOST, b"GET / HTTP/1.32")),
    (505, get(HOST, b"GET / HTTP/2.0")),
    (505, get(HOST, b"GET / HTTP/0.9")),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    *[
        (400, CHUNKED + body)
        for body in (
            b"0_2e\r\n", b"-0x0\r\n", b"ffffffffffffffffff\r\n", b"\r\n", b"1" * 17 + b"\r\n", b"5 \r\nhello\r\n",
            b"5\nhello\n", b"5;" + b"a" * 2000 + b"\r\n", b"5;" + b"a" * 2000, b"5\r\nhelloworld", b"5\r\nhello\n0\r\n",
            b"0\r\nA: b\nC: d\r\n\r\n", b"0\r\n folded\r\n", b"0\r\n" + b"A: b\r\n" * 3000, b"0\r\nA: " + b"a" * 9000,
            b"5\r\nhello\rX", b"5;\x00\r\n",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("status", "data"), BAD)
async def test_is_refused_and_the_connection_closed(status: int, data: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(data)
        reply = await talk.reply()
        assert reply.status == status, reply
        assert reply.value("Connection") == "close"
        assert reply.value("X-Flynn-Error") == ("H26" if status == 417 else "bad-request")
        assert await talk.rest() == b""
        assert app.calls == []
        assert rig.proxy.refused == 1
        assert rig.counts.in_flight == 0


GOOD = [
    get(HOST),
    b"\r\n" + get(HOST),
    get(b"hOST:app.test:8080\t\r\n"),
    get(HOST + b"A:\r\nB:\t\xc3\xa9\x80\r\nA: \r\n"),
    get(HOST, b"OPTIONS * HTTP/1.1"),
    get(HOST, b'M-SEARCH /a//b/../c;d=%2f?e=[]|{}^`" HTTP/1.1'),
    get(HOST, b"GET HTTP://app.test?x HTTP/1.1"),
    get(HOST + b"A: b\r\n" * 99),
    get(HOST + (b"A: " + b"a" * 6000 + b"\r\n") * 10),
    get(HOST + b"A: " + b"a" * 8000 + b"\r\n"),
]


@pytest.mark.parametrize("data", GOOD)
async def test_is_odd_but_right(data: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        assert (await talk.ask(data)).status == 200
        assert (await talk.ask(get(HOST))).status == 200

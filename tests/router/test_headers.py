"""What an app is told of its client, what it is not told, and what passes untouched."""

import ipaddress
import re
import time

from tests.router.rig import OK, Call, always, open_rig


async def sent(request: bytes, *trusted: str) -> Call:
    """The request as the app gets it."""
    async with open_rig(tuple(map(ipaddress.ip_network, trusted))) as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        assert (await rig.ask(request)).status == 200
        port = str(rig.port)
        call = app.calls[0]
        call.head = call.head.replace(port.encode(), b"PORT")
        return call


async def test_an_app_learns_who_asked_and_how() -> None:
    call = await sent(b"GET /a HTTP/1.1\r\nhost: App.Test:80\r\nX-Custom:  kept as is \r\n\r\n")
    assert call.head.startswith(b"GET /a HTTP/1.1\r\nhost: App.Test:80\r\nX-Custom:  kept as is \r\n")
    assert call.values("X-Forwarded-For") == ["127.0.0.1"]
    assert call.values("X-Forwarded-Proto") == ["http"]
    assert call.values("X-Forwarded-Port") == ["PORT"]
    assert call.values("X-Forwarded-Host") == ["App.Test:80"]
    assert re.fullmatch("[0-9a-f]{32}", call.values("X-Request-Id")[0])
    assert abs(int(call.values("X-Request-Start")[0]) / 1000 - time.time()) < 10


LIES = (
    b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 6.6.6.6\r\nX-FORWARDED-PROTO: https\r\n"
    b"X_Forwarded_For: 7.7.7.7\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 443\r\nForwarded: for=6.6.6.6\r\n"
    b"X-Request-Start: 1\r\nX-Request-Id: short\r\n\r\n"
)


async def test_what_a_client_says_of_itself_is_not_believed() -> None:
    call = await sent(LIES)
    for lie in (b"6.6.6.6", b"7.7.7.7", b"https", b"evil", b"Port: 443", b"short"):
        assert lie not in call.head
    assert call.head.lower().count(b"forwarded") == 4


async def test_what_a_trusted_proxy_says_is_kept() -> None:
    call = await sent(LIES, "127.0.0.0/8")
    assert call.values("X-Forwarded-For") == ["6.6.6.6, 127.0.0.1"]
    assert call.values("X-Forwarded-Proto") == ["https"]
    assert call.values("X-Forwarded-Port") == ["443"]
    assert call.values("X-Forwarded-Host") == ["evil, app.test"]
    assert call.values("Forwarded") == ["for=6.6.6.6"]
    assert b"7.7.7.7" not in call.head
    assert b"6.6.6.6" not in (await sent(LIES, "10.0.0.0/8")).head


async def test_a_good_request_id_is_kept() -> None:
    call = await sent(b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Request-Id: 0123456789+/=-abcdefg\r\n\r\n")
    assert call.values("X-Request-Id") == ["0123456789+/=-abcdefg"]
    for bad in (b"x" * 201, b"x" * 19, b"x" * 20 + b"_", b"x" * 8000):
        call = await sent(b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Request-Id: %b\r\n\r\n" % bad)
        assert len(call.values("X-Request-Id")[0]) == 32


async def test_a_request_id_of_10_kib_is_no_line_of_a_head() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        reply = await rig.ask(b"GET / HTTP/1.1\r\nHost: app.test\r\nX-Request-Id: %b\r\n\r\n" % (b"x" * 10240))
        assert (reply.status, reply.value("Connection"), app.calls) == (431, "close", [])
        assert re.fullmatch("[0-9a-f]{32}", str(reply.value("X-Request-Id")))


async def test_fields_between_two_hops_stay_there() -> None:
    call = await sent(
        b"POST / HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, X-Mine, Content-Length, Host\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Mine: 1\r\nX-Other: 2\r\n"
        b"Proxy-Authorization: Basic eDp5\r\nContent-Length: 2\r\n\r\nhi"
    )
    for name in ("Connection", "Keep-Alive", "Proxy-Connection", "TE", "X-Mine", "Proxy-Authorization"):
        assert call.values(name) == []
    assert (call.values("X-Other"), call.values("Host"), call.body) == (["2"], ["app.test"], b"hi")


async def test_an_answer_loses_only_what_concerns_one_hop() -> None:
    head = b"HTTP/1.1 299 Fine by me\r\nServer: x\r\n%bSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"
    hop = b"Connection: close, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nUpgrade: h2\r\n"
    async with open_rig() as rig:
        app = await rig.app(always(head % hop))
        rig.show(app.address)
        reply = await rig.ask()
        assert reply.head == head % b""

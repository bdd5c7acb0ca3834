"""The cookie of sticky routes: what it says, to whom, and below which path."""

import re
from http.cookies import SimpleCookie

import aiohttp
import pytest
from yarl import URL

from flynn.core import keys
from flynn.core.model import Route
from flynn.router.seal import Seal
from tests.router.rig import GET, always, body_of, open_rig


async def test_another_router_opens_the_seal_and_nobody_forges_one() -> None:
    field = Seal("grid").field("app-web/i1", "/x")
    cookie = b"\nCookie: " + field.partition(b": ")[2].partition(b";")[0] + b"\r"
    assert Seal("grid").told(cookie) == "app-web/i1"
    assert Seal("other").told(cookie) == ""
    assert Seal("grid").told(cookie.replace(b"_backend=", b"_backend=A")) == ""
    assert Seal("grid").told(b"\nCookie: _backend=app-web/i1\r") == ""
    assert Seal("grid").told(b"\nCookie: x_backend=" + b"A" * 60 + b"\r") == ""
    assert b"app-web" not in field


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b"),
        ("a", "/a"),
        ("/a=b,c:d~!", "/a=b,c:d~!"),
        ("/;", "/"),
        ("/a;b", "/"),
        ("/a/b;c/d", "/a"),
        ("/a/b; Domain=evil/d", "/a"),
        ("/a b", "/"),
        ("/a/b\r\nSet-Cookie: x=y", "/a"),
        ("/a/b\0", "/a"),
        ("/a/\x7f", "/a"),
        ("/a/\xe9/c", "/a"),
        ("/a//b;", "/a/"),
    ],
)
def test_the_cookie_is_for_the_route_s_path_or_what_can_be_written_of_it(path: str, shown: str) -> None:
    field = Seal("grid").field("app-web/i1", path).decode()
    assert re.fullmatch(rf"\nSet-Cookie: _backend=[^;]*; Path={re.escape(shown)}; HttpOnly; SameSite=Lax\r", field)


async def test_clients_of_a_sticky_route_are_kept_below_its_whole_path() -> None:
    """By a client that follows RFC 6265: its jar sends the cookie where the route is, and the route knows it again."""
    async with open_rig() as rig:
        apps = [await rig.app(always(body_of(str(n)))) for n in range(3)]
        for path in ("/shop/", "/a/b;c"):
            rig.routes[keys.route("r")] = Route(id="r", domain="app.test", path=path, service="app-web", sticky=True)
            rig.show(*(app.address for app in apps))
            jar, origin = aiohttp.CookieJar(quote_cookie=False), URL("http://app.test")
            first = await rig.ask(GET.replace(b"/ ", path.rstrip("/").encode() + b" "))
            jar.update_cookies(SimpleCookie(str(first.value("Set-Cookie"))), origin / path.strip("/"))
            for asked in (path.rstrip("/"), path.rstrip("/") + "/x"):
                sent = jar.filter_cookies(origin.with_path(asked, encoded=True)).output(header="", sep=";")
                data = GET.replace(b"/ ", asked.encode() + b" ")[:-2] + f"Cookie:{sent}\r\n\r\n".encode()
                reply = await rig.ask(data)
                assert (reply.body, reply.value("Set-Cookie")) == (first.body, None)


async def test_sticky_routes_of_one_domain_do_not_mix_their_cookies_up() -> None:
    """The client sends that of the longer path first (RFC 6265 section 5.4)."""
    async with open_rig() as rig:
        apps = [await rig.app(always(body_of(str(n)))) for n in range(3)]
        rig.routes[keys.route("r")] = Route(id="r", domain="app.test", path="/api", service="app-web", sticky=True)
        rig.show(*(app.address for app in apps))
        ask = GET.replace(b"/ ", b"/api/1 ")[:-2]
        reply = await rig.ask(ask + b"\r\n")
        cookie = str(reply.value("Set-Cookie")).partition(";")[0].encode()
        other = Seal("").field("other-web/i1", "/").partition(b": ")[2].partition(b";")[0]
        for _ in range(10):
            again = await rig.ask(ask + b"Cookie: %b; %b\r\n\r\n" % (cookie, other))
            assert (again.body, again.value("Set-Cookie")) == (reply.body, None)

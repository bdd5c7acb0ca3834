"""The node API's server: routes, the token, errors, bodies, streams."""

import asyncio
import base64
import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from flynn.core.errors import Conflict, FlynnError, Full, NotFound, Unauthorized, Unavailable
from flynn.core.memory import MemoryStore
from flynn.core.model import App
from flynn.core.records import STALE_SINCE
from flynn.core.web import BODY_LIMIT, BYTES, LINES, Route, answer, answers, body, lines, query, send_line, write_soon
from flynn.core.web.guard import ADDRESSES, BURST, RATE, Guard
from tests.core.outage import Line
from tests.harness import TOKEN, TestNode, open_node

LIMIT = 10.0


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    count: int = 1
    more: dict[str, list[int]] = {}


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: Annotated[int, msgspec.Meta(ge=0, le=100)] = 7
    all: bool = False


class Q(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    q: str = ""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node, asyncio.timeout(LIMIT):
        with node.web.serving(*routes()):
            yield node


def routes() -> list[Route]:
    async def show(request: web.Request, **params: str) -> web.Response:
        return answer(params)

    async def fail(request: web.Request, kind: str) -> web.Response:
        errors = {"conflict": Conflict("busy"), "full": Full("disk"), "gone": Unavailable("away"), "bug": KeyError("x")}
        raise errors.get(kind, NotFound("none"))

    async def wish(request: web.Request) -> web.Response:
        return answer(await body(request, Wish), 201)

    async def count(request: web.Request) -> web.Response:
        return answer({"n": query(request, Asked).n})

    async def stream(request: web.Request, end: str) -> web.StreamResponse:
        response = await lines(request)
        await send_line(response, {"kind": "log", "app": App(name="a", created=1.0)})
        if end == "error":
            raise NotFound("lost on the way")
        if end == "bug":
            raise KeyError("x")
        return response

    async def lie(request: web.Request, how: str) -> web.Response:
        if how == "body":
            await body(request, Asked)
        if how == "query":
            query(request, Asked)
        return answer({"a": "b"} if how == "answer" else {"a": 1}, 202 if how == "status" else 200)

    async def swallow(request: web.Request) -> web.Response:
        return answer({"size": len(await request.content.read())})

    return [
        Route("GET", "/open/{a}", show, "show", Any, open=True),
        Route("GET", "/v1/apps/{app}", show, "show", Any, query=Q),
        Route("GET", "/v1/apps/{app}/x/{id}", show, "show", Any, query=Q),
        Route("DELETE", "/v1/apps/{app}", show, "show", Any),
        Route("GET", "/v1/fail/{kind}", fail, "fail", Any, query=Q, errors=(Conflict, Full)),
        Route("PUT", "/v1/wish", wish, "wish", Wish, Wish, status=201),
        Route("GET", "/v1/count", count, "count", dict[str, int], query=Asked),
        Route("GET", "/v1/stream/{end}", stream, "stream", LINES),
        Route("PUT", "/v1/swallow", swallow, "swallow", dict[str, int], BYTES),
        Route("GET", "/v1/lie/{how}", lie, "lie", dict[str, int]),
        Route("PUT", "/v1/lie/{how}", lie, "lie", dict[str, int], Wish),
    ]


async def test_a_path_names_its_parts(node: TestNode) -> None:
    for path, wanted in {
        "/v1/apps/hello": {"app": "hello"},
        "/v1/apps/a.b%20c": {"app": "a.b c"},
        "/v1/apps/a/x/b?q=1": {"app": "a", "id": "b"},
    }.items():
        async with node.http.get(node.url + path) as response:
            assert (response.status, await response.json()) == (200, wanted)


@pytest.mark.parametrize("path", ["/", "/v1/apps", "/v1/apps/", "/v1/apps/a/", "/v1/apps/a/y", "//v1/apps/a", "/v2"])
async def test_what_is_not_there_is_404(node: TestNode, path: str) -> None:
    async with node.http.get(node.url + path) as response:
        assert response.status == 404
        assert (await response.json())["code"] == "not_found"


async def test_the_wrong_method_is_405_and_names_the_right_ones(node: TestNode) -> None:
    async with node.http.post(node.url + "/v1/apps/a") as response:
        assert response.status == 405
        told = await response.json()
        assert told["code"] == "method_not_allowed"
        assert told["message"].endswith("use GET, DELETE")
        assert told["detail"] == {"allow": ["GET", "DELETE"]}
        assert response.headers["Allow"] == "GET, DELETE"


async def test_routes_are_there_for_the_length_of_the_block(node: TestNode) -> None:
    async def hello(request: web.Request) -> web.Response:
        return answer("hello")

    async def status() -> int:
        async with node.http.get(node.url + "/v1/hello") as response:
            return response.status

    assert await status() == 404
    with node.web.serving(Route("GET", "/v1/hello", hello, "hello", str)):
        assert await status() == 200
        taken = [Route("GET", "/v1/other", hello, "hello", str), Route("GET", "/v1/hello", hello, "hello", str)]
        with pytest.raises(ValueError, match="GET /v1/hello is served already"), node.web.serving(*taken):
            pass
        assert await status() == 200
    assert await status() == 404
    with node.web.serving(taken[0]):
        pass


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"user:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (basic(TOKEN), 200),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        (f"Bearer {TOKEN}x", 401),
        (TOKEN, 401),
        ("Bearer ü\udc80".encode("utf-8", "surrogateescape").decode("latin-1"), 401),
        (basic("wrong"), 401),
        ("Basic !!!", 401),
        ("Basic " + base64.b64encode(TOKEN.encode()).decode(), 401),
    ],
)
async def test_the_token_is_needed(node: TestNode, header: str, status: int) -> None:
    headers = {"Authorization": header} if header else {}
    async with aiohttp.ClientSession() as stranger, stranger.get(node.url + "/v1/count", headers=headers) as response:
        assert response.status == status
        if status == 401:
            assert (await response.json())["code"] == "unauthorized"
            assert response.headers["WWW-Authenticate"] == 'Basic realm="flynn"'


async def test_an_open_route_needs_no_token(node: TestNode) -> None:
    async with aiohttp.ClientSession() as stranger, stranger.get(node.url + "/open/a") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("kind", "status", "code", "retry"),
    [
        ("conflict", 409, "conflict", True),
        ("full", 507, "full", True),
        ("gone", 503, "unavailable", True),
        ("other", 404, "not_found", False),
        ("bug", 500, "error", False),
    ],
)
async def test_an_error_is_its_status_and_its_sentence(
    node: TestNode, kind: str, status: int, code: str, retry: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with node.http.get(f"{node.url}/v1/fail/{kind}") as response:
        told = await response.json()
        assert (response.status, told["code"], told["retry"]) == (status, code, retry)
        assert ("Retry-After" in response.headers) == (status == 503)
    assert ("GET /v1/fail/bug failed" in caplog.text) == (kind == "bug")
    assert "KeyError" not in told["message"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"name": "a", "count": 2}', 201),
        (b'{"name": "a"}', 201),
        (b"", 422),
        (b"{}", 422),
        (b'{"name": 1}', 422),
        (b'{"name": "a", "colour": 1}', 422),
        (b'{"name": "a", "count": 1e999}', 422),
        (b"[" * 100_000, 422),
        (b"\xff", 422),
        (b'{"name": "a"} x', 422),
        (b'{"name": NaN}', 422),
        (b'{"name": "a", "count": 1, "count": 2}', 422),
        (b'{"name": "a", "more": {"x": 1, "x": 1}}', 422),
        (b'{"name": "\\ud800"}', 422),
        (b'{"name":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, 422),
    ],
)
async def test_a_body_is_what_is_wanted_or_refused(node: TestNode, raw: bytes, status: int) -> None:
    async with node.http.put(node.url + "/v1/wish", data=raw) as response:
        told = await response.json()
        assert response.status == status
        assert status == 201 or (told["code"] == "invalid" and "PUT /v1/wish" in told["message"])


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"name": 1}', "name"),
        (b"{}", "name"),
        (b'{"name": "a", "colour": 1}', "colour"),
        (b'{"name": "a", "more": {"x": ["y"]}}', "more[...][0]"),
        (b"[]", None),
    ],
)
async def test_what_is_wrong_in_a_body_is_named(node: TestNode, raw: bytes, field: str | None) -> None:
    async with node.http.put(node.url + "/v1/wish", data=raw) as response:
        told = await response.json()
        assert response.status == 422
        assert told["detail"].get("field") == field


async def test_a_body_too_large_is_refused(node: TestNode) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (BODY_LIMIT // 16)

    for data in (io.BytesIO(b"x" * (BODY_LIMIT + 1)), chunks()):
        async with aiohttp.ClientSession(headers=node.http.headers) as client:
            async with client.put(node.url + "/v1/wish", data=data) as response:
                assert response.status == 413
                assert str(BODY_LIMIT) in (await response.json())["message"]


async def test_a_handler_that_streams_takes_any_size(node: TestNode) -> None:
    async with node.http.put(node.url + "/v1/swallow", data=io.BytesIO(b"x" * (3 * BODY_LIMIT))) as response:
        assert (await response.json())["size"] == 3 * BODY_LIMIT


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        *(("", 7), ("?n=0", 0), ("?n=100", 100), ("?all=true&n=3", 3), ("?n=3&all=0", 3), ("?n=%203", "n")),
        *(("?n=101", "n"), ("?n=-1", "n"), ("?n=", "n"), ("?n=1.5", "n"), ("?n=\u0663", "n"), ("?n=1&n=1", "n")),
        *((f"?n={'9' * 5000}", "n"), ("?n=1e999", "n"), ("?n=nan", "n"), ("?all=yes", "all"), ("?all=", "all")),
        *(("?m=1", "m"), (f"?token={TOKEN}", "token"), ("?N=1", "N")),
    ],
)
async def test_a_query_is_what_is_declared_or_refused(node: TestNode, asked: str, wanted: int | str) -> None:
    async with node.http.get(node.url + "/v1/count" + asked) as response:
        told = await response.json()
    if isinstance(wanted, int):
        assert told == {"n": wanted}
    else:
        assert (response.status, told["code"], told["detail"]["query"]) == (422, "invalid", wanted)
        assert wanted in told["message"]
        assert TOKEN not in told["message"]
        assert ("known are: n, all" in told["message"]) == (wanted not in ("n", "all"))


async def test_a_route_that_declares_no_query_has_none(node: TestNode) -> None:
    async with node.http.get(node.url + "/open/a?x=1") as response:
        assert response.status == 422
        assert "known are: none" in (await response.json())["message"]


@pytest.mark.parametrize(
    ("method", "how", "why"),
    [
        ("GET", "query", "reads Asked, but its route does not declare it"),
        ("PUT", "body", "but its route does not say so"),
        ("GET", "answer", "gives what its route does not say"),
        ("GET", "status", "answers 202, which its route does not say"),
    ],
)
async def test_a_route_that_lies_is_found_out(
    node: TestNode, method: str, how: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with node.http.request(method, f"{node.url}/v1/lie/{how}") as response:
        assert response.status == 500
    assert why in caplog.text


async def test_a_stream_is_json_lines(node: TestNode) -> None:
    async with node.http.get(node.url + "/v1/stream/whole") as response:
        assert response.content_type == "application/x-ndjson"
        [line] = (await response.read()).splitlines()
        told = msgspec.json.decode(line)
        assert (told["kind"], told["app"]["name"], told["app"]["env"]) == ("log", "a", {})


@pytest.mark.parametrize("end", ["error", "bug"])
async def test_a_stream_that_fails_ends_short_not_with_a_second_answer(node: TestNode, end: str) -> None:
    host, port = node.node.address, node.node.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /v1/stream/{end} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    whole = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert whole.count(b"HTTP/1.1 ") == 1
    assert whole.startswith(b"HTTP/1.1 200 OK")
    assert b'"kind":"log"' in whole
    assert not whole.endswith(b"0\r\n\r\n")
    async with node.http.get(node.url + "/v1/stream/" + end) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_client_that_leaves_harms_nobody(node: TestNode, caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        try:
            response = await lines(request)
            while True:
                await send_line(response, {"x": "y" * 100_000})
        finally:
            ended.set()

    with node.web.serving(Route("GET", "/v1/endless", endless, "endless", LINES)):
        async with node.http.get(node.url + "/v1/endless") as response:
            await response.content.readexactly(100_000)
            response.close()
        await ended.wait()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_defaults_are_shown_too() -> None:
    shown = answer([App(name="a", created=1.0)]).body
    assert isinstance(shown, bytes)
    (app,) = msgspec.json.decode(shown)
    assert (app["env"], app["release"], app["deploying"]["strategy"]) == ({}, 0, "")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
async def test_a_compressed_body_is_refused_unread(node: TestNode, encoding: str) -> None:
    bomb = gzip.compress(bytes(10 << 20))
    headers = {"Content-Encoding": encoding}
    for path in ("wish", "swallow"):
        async with node.http.put(f"{node.url}/v1/{path}", data=bomb, headers=headers) as response:
            told = await response.json()
            assert (response.status, told["code"]) == (415, "unsupported")
            assert told["detail"] == {"encoding": encoding}
    async with node.http.put(
        f"{node.url}/v1/wish", data=b'{"name": "a"}', headers={"Content-Encoding": "Identity"}
    ) as response:
        assert response.status == 201


async def test_a_route_that_unpacks_bodies_itself_gets_them_as_they_came(node: TestNode) -> None:
    async def measure(request: web.Request) -> web.Response:
        return answer({"sent": (await request.read()).hex()})

    packed = gzip.compress(b"some words")
    with node.web.serving(Route("PUT", "/v1/packed", measure, "", dict[str, str], BYTES, packed=True)):
        for encoding, status in (("gzip", 200), ("x-gzip", 200), ("br", 415)):
            headers = {"Content-Encoding": encoding}
            async with node.http.put(f"{node.url}/v1/packed", data=packed, headers=headers) as response:
                assert response.status == status
                assert status != 200 or await response.json() == {"sent": packed.hex()}


async def test_who_comes_by_a_domain_of_a_brick_sees_its_routes_alone(node: TestNode) -> None:
    async def show(request: web.Request, name: str) -> web.Response:
        return answer({"name": name})

    route = Route("GET", "/{name}.git", show, "", dict[str, str])
    with node.web.serving(route, front="git.flynn.localhost"):
        for host in ("git.flynn.localhost", "git.flynn.localhost:8080", "GIT.flynn.localhost.", "git.flynn.localhost:"):
            for path, status in (("/a.git", 200), ("/v1/count", 404), ("/v1/openapi.json", 404)):
                async with node.http.get(f"{node.url}{path}", headers={"Host": host}) as response:
                    assert response.status == status, (host, path)
        for path in ("/a.git", "/v1/count"):
            async with node.http.get(f"{node.url}{path}", headers={"Host": "other"}) as response:
                assert response.status == 200
    async with node.http.get(f"{node.url}/v1/count", headers={"Host": "git.flynn.localhost"}) as response:
        assert response.status == 200


async def raw(node: TestNode, *heads: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Each answer to what is sent on one connection: status, headers, JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.node.port)
    answers = []
    for head in heads:
        writer.write(head)
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields if field)}
        told = json.loads(await reader.readexactly(int(headers["content-length"])))
        answers.append((int(status.split()[1]), headers, told))
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET /open HTTP/9.9\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET /open HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "too_large"),
        (b"GET /open HTTP/1.1\r\nHost: x\r\n" + b"a" * 20_000 + b": x\r\n\r\n", 431, "too_large"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "too_large"),
        (b"POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"GET /open/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_request"),
        (b"GET /open/a HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"STEAL /open/a HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "bad_request"),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"GET /%ff%00/../.. HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"GET /open/a HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", 417, "expectation_failed"),
    ],
)
async def test_what_is_no_good_http_is_told_so_and_makes_no_line_in_the_log(
    node: TestNode, head: bytes, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    [(given, headers, told)] = await raw(node, head)
    assert (given, told["code"], told["retry"]) == (status, code, False)
    assert headers["content-type"] == "application/json"
    assert told["message"]
    assert isinstance(told["detail"], dict)
    assert not caplog.records


async def test_who_asks_whether_to_send_a_body_is_told_before(node: TestNode) -> None:
    """RFC 9110, section 10.1.1: what the head alone is refused for is said in place of `100 Continue`."""
    head = "PUT /v1/{} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n{}\r\n"
    token = f"Authorization: Bearer {TOKEN}\r\n"
    for path, size, headers, status in (
        ("swallow", 10, "", 401),
        ("nothing", 10, token, 404),
        ("count", 10, token, 405),
        ("swallow", 10, f"{token}Content-Encoding: gzip\r\n", 415),
    ):
        [(given, _, _)] = await raw(node, head.format(path, size, headers).encode())
        assert given == status
    reader, writer = await asyncio.open_connection("127.0.0.1", node.node.port)
    writer.write(head.format("swallow", 3, token).encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert b'{"size":3}' in await reader.read(4096)
    writer.close()
    await writer.wait_closed()


async def test_wrong_tokens_are_slowed_down_and_the_right_one_is_not(node: TestNode) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer wrong"}) as stranger:
        told = []
        for _ in range(BURST + 20):
            async with stranger.get(f"{node.url}/v1/count") as response:
                told.append((response.status, response.headers.get("Retry-After")))
    assert told[:BURST] == [(401, None)] * BURST
    assert (429, "1") in told[BURST:]
    assert {status for status, _ in told[BURST:]} <= {401, 429}
    async with node.http.get(f"{node.url}/v1/count") as response:
        assert response.status == 200


async def test_a_token_in_a_url_opens_nothing_and_is_not_logged(
    node: TestNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "flynn")
    async with aiohttp.ClientSession() as stranger:
        for path in (f"/v1/count?token={TOKEN}-x", f"/v1/fail/bug?access_token={TOKEN}-x"):
            async with stranger.get(node.url + path) as response:
                assert response.status == 401
                assert "never from a URL" in (await response.json())["message"]
    async with node.http.get(f"{node.url}/v1/fail/bug?token={TOKEN}-x") as response:
        assert TOKEN not in await response.text()
    assert TOKEN not in caplog.text


def test_guard_gives_time_back() -> None:
    now = 0.0
    told: list[dict[str, Any]] = []
    guard = Guard(TOKEN, lambda: now)

    def status(address: str = "10.0.0.1") -> int:
        try:
            guard.check("Bearer wrong", address)
        except FlynnError as error:
            told.append(error.detail)
            return error.status
        return 200

    assert [status() for _ in range(BURST + 2)] == [401] * BURST + [429] * 2
    assert told == [{}] * BURST + [{"retry_after": 1}] * 2
    assert status("10.0.0.2") == 401
    guard.check(f"Bearer {TOKEN}", "10.0.0.1")
    now += 1.0
    assert [status() for _ in range(int(RATE) + 1)] == [401] * int(RATE) + [429]
    assert [status(f"2001:db8::{n:x}") for n in range(1, BURST + 2)] == [401] * BURST + [429]
    assert status("2001:db8:0:1::1") == 401


def test_guard_remembers_so_many_addresses() -> None:
    guard = Guard(TOKEN, lambda: 0.0)
    for n in range(ADDRESSES + 100):
        with pytest.raises(Unauthorized):
            guard.check("Bearer wrong", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(guard._left) == ADDRESSES


async def test_while_the_store_is_away_every_answer_says_since_when(tmp_path: Path) -> None:
    line = Line(MemoryStore())

    async def told(path: str) -> str | None:
        async with away.http.get(away.url + path) as response:
            return response.headers.get(STALE_SINCE)

    async with asyncio.timeout(LIMIT), open_node(tmp_path, line) as away:
        with away.web.serving(*routes()):
            assert await told("/v1/apps/a") is None
            line.cut()
            while (since := away.mirror.stale_since) is None:
                await asyncio.sleep(0.01)
            for path in ("/v1/apps/a", "/v1/fail/conflict", "/v1/stream/end", "/nowhere"):
                assert float(await told(path) or 0) == pytest.approx(since, abs=0.001)
            line.mend()
            while away.mirror.stale_since is not None:
                await asyncio.sleep(0.01)
            assert await told("/v1/apps/a") is None


async def test_who_follows_and_takes_nothing_is_cut_off(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SILENCE", 0.1)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = await lines(request)
        try:
            while True:
                await write_soon(request, response, bytes(1 << 20))
        except ConnectionError as error:
            ended.set_result(str(error))
        return response

    with node.web.serving(Route("GET", "/v1/endless", endless, "endless", LINES)):
        async with node.http.get(node.url + "/v1/endless") as response:
            assert response.status == 200
            assert await ended == "nothing was taken for 0.1 s"
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

"""The quick look at a head says what the thorough one says, or nothing."""

import os
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flynn.router.head import Request, Response, parse_request, parse_response
from flynn.router.plain import plain_request, plain_response

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))

LINES = (
    b"GET / HTTP/1.1", b"POST /a?b=%20c HTTP/1.1", b"HEAD /x HTTP/1.1", b"CONNECT / HTTP/1.1", b"get / HTTP/1.1",
    b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://b/c HTTP/1.1",
    b"GET /\xff HTTP/1.1", b"GET /# HTTP/1.1", b"GET / HTTP/1.1 ", b"PRI * HTTP/2.0", b"G" * 33 + b" / HTTP/1.1",
)  # fmt: skip

STATUSES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 Not\tFound \xe9", b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 100 Continue", b"HTTP/1.1 600 What",
    b"HTTP/1.1 099 No", b"HTTP/1.1 2000 OK", b"HTTP/1.1 101 Switching Protocols", b"http/1.1 200 OK",
)  # fmt: skip

NAMES = (
    b"Host", b"host", b"HOST", b"Hos", b"Hosts", b"Content-Length", b"content_length", b"Content-Lengths",
    b"Transfer-Encoding", b"Connection", b"connection", b"Connections", b"Keep-Alive", b"keep_alive", b"Upgrade",
    b"Upgrade-Insecure-Requests", b"Expect", b"TE", b"Test", b"Proxy-Connection", b"Proxy-Authorization", b"Proxy-X",
    b"X-Request-Id", b"x_request_start", b"X-Requested-With", b"Forwarded", b"X-Forwarded-For", b"X_Forwarded_Proto",
    b"X-Forwarded-Server", b"Cookie", b"Accept", b"", b"a b", b"Na:me", b"\xe9",
)  # fmt: skip

VALUES = (
    b"a", b"a.test:80", b"[::1]:8000", b"", b"a,b", b"close", b"keep-alive", b"Keep-Alive", b"keep-alive, close",
    b"keep-alive, x-a", b"chunked", b"gzip, chunked", b"0", b"5", b"007", b"1" * 18, b"1" * 19, b"+1", b"5, 5",
    b"websocket", b"100-continue", b"timeout=5", b"x" * 20, b"\xe9", b"a\0b", b"a\rb", b"a\nb", b"x\r\n y",
)  # fmt: skip

HOST, KEEP, LENGTH = b"Host: a\r\n", b"Connection: keep-alive\r\n", b"Content-Length: 5\r\n"

SPACES = (b" ", b"", b"\t ", b"  ")

FIELDS = st.builds(
    lambda name, before, value, after: name + b":" + before + value + after,
    st.sampled_from(NAMES), st.sampled_from(SPACES), st.sampled_from(VALUES), st.sampled_from(SPACES),
)  # fmt: skip

LIKELY = st.sampled_from(
    (
        b"Host: a.test", b"Host: b", b"Connection: keep-alive", b"Connection: close", b"Content-Length: 5",
        b"Transfer-Encoding: chunked", b"Keep-Alive: timeout=5", b"Cookie: a=b; c=d", b"Accept: */*", b"Set-Cookie: a",
    )
)  # fmt: skip


def heads(lines: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Heads to the CR LF of their last field; often of the common shapes, and sometimes with a byte too many."""
    fields = st.lists(LIKELY | FIELDS, max_size=6) | st.lists(LIKELY, max_size=120)
    return st.builds(lambda line, all: b"".join(one + b"\r\n" for one in (line, *all)), st.sampled_from(lines), fields)


def test_each_field_is_read_alike() -> None:
    for name, value, space in product(NAMES, VALUES, SPACES):
        field = name + b":" + space + value + b"\r\n"
        for asked in (HOST + field, field + HOST, field, HOST + KEEP + field, HOST + LENGTH + KEEP + field):
            head = b"GET / HTTP/1.1\r\n" + asked
            assert plain_request(head, len(head)) in (None, parse_request(head))
        for said in (LENGTH + field, field + LENGTH, field, LENGTH + KEEP + field):
            head = b"HTTP/1.1 200 OK\r\n" + said
            assert plain_response(head, len(head)) in (None, parse_response(head))


def test_each_line_is_read_alike() -> None:
    for line in LINES:
        head = line + b"\r\nHost: a\r\n"
        assert plain_request(head, len(head)) in (None, parse_request(head))
    for line, field in product(STATUSES, (LENGTH, b"Transfer-Encoding: chunked\r\n", b"")):
        head = line + b"\r\n" + field
        assert plain_response(head, len(head)) in (None, parse_response(head))


def test_fields_are_limited_alike() -> None:
    for counts in product((0, 1, 24, 25, 66), repeat=4):
        a, b, c, d = (b"A: b\r\n" * count for count in counts)
        for asked in (a + HOST + b + LENGTH + c + KEEP + d, a + HOST + b + KEEP + c + LENGTH + d):
            head = b"GET / HTTP/1.1\r\n" + asked
            assert plain_request(head, len(head)) in (None, parse_request(head))
        head = b"HTTP/1.1 200 OK\r\n" + a + LENGTH + b + KEEP + c + d
        assert plain_response(head, len(head)) in (None, parse_response(head))


@settings(max_examples=EXAMPLES)
@given(head=heads(LINES))
@example(head=b"GET / HTTP/1.1\r\nHost: a\r\n")
@example(head=b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 99)
@example(head=b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 101)
def test_a_request_is_read_alike(head: bytes) -> None:
    assert plain_request(head, len(head)) in (None, parse_request(head))


@settings(max_examples=EXAMPLES)
@given(head=heads(STATUSES))
@example(head=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + b"A: b\r\n" * 101)
def test_a_response_is_read_alike(head: bytes) -> None:
    assert plain_response(head, len(head)) in (None, parse_response(head))


@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a.test",
        b"host:a.test:8000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*",
        b"User-Agent: x\r\nHost: [::1]\r\nAccept: */*\r\nConnection: keep-alive\r\nCookie: a=b",
        b"Host: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\nContent-Type: text/plain",
        b"Host: a\r\nContent-Type: text/plain\r\ncontent-length: 5",
        b"Host: a\r\nUpgrade-Insecure-Requests: 1\r\nX-Requested-With: x\r\nSec-Fetch-Mode: navigate",
    ],
)
def test_common_requests_get_the_quick_look(fields: bytes) -> None:
    head = b"GET /path?q HTTP/1.1\r\n" + fields + b"\r\n"
    assert isinstance(plain_request(head, len(head)), Request)


@pytest.mark.parametrize(
    "fields",
    [
        b"Server: nginx\r\nContent-Length: 12\r\nConnection: keep-alive",
        b"content-type: text/plain\r\ncontent-length: 0\r\ndate: now",
        b"Transfer-Encoding: chunked\r\nSet-Cookie: a=b",
        b"Content-Length: 5\r\nDate: now\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5",
    ],
)
def test_common_responses_get_the_quick_look(fields: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n"
    assert isinstance(plain_response(head, len(head)), Response)

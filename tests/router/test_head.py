"""Heads as bytes, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.router.fields import CHUNKED, LINE_LIMIT, UNTOLD, Refusal
from flynn.router.head import Request, Response, junk, parse_request, parse_response, refuse_early


def request(fields: bytes, line: bytes = b"GET / HTTP/1.1") -> Request:
    found = parse_request(line + b"\r\nHost: a\r\n" + fields)
    assert isinstance(found, Request), found
    return found


def response(fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> Response:
    found = parse_response(line + b"\r\n" + fields)
    assert isinstance(found, Response), found
    return found


def test_a_request() -> None:
    found = request(b"Accept: */*\r\nContent-Length: 12\r\n", b"POST /x?y HTTP/1.1")
    assert (found.method, found.target, found.host, found.length) == (b"POST", b"/x?y", b"a", 12)
    assert found.line + found.kept == b"POST /x?y HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nContent-Length: 12\r"
    assert not found.repeatable


@pytest.mark.parametrize(
    ("line", "fields", "keep"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Connection: foo, Close\r\n", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_who_keeps_the_connection(line: bytes, fields: bytes, keep: bool) -> None:
    assert request(fields, line).keep is keep
    status = b"HTTP/1.%b 200 OK" % line[-1:]
    assert response(fields, status).keep is keep


def test_what_can_be_sent_twice() -> None:
    assert request(b"").repeatable
    assert request(b"Content-Length: 0\r\n", b"PUT / HTTP/1.1").repeatable
    assert not request(b"", b"POST / HTTP/1.1").repeatable
    assert not request(b"", b"PATCH / HTTP/1.1").repeatable
    assert not request(b"Connection: upgrade\r\nUpgrade: x\r\n").repeatable
    assert not request(b"Transfer-Encoding: chunked\r\n").repeatable


def test_a_response() -> None:
    found = response(b"A: b\r\nContent-Length: 3\r\n", b"HTTP/1.0 201 Made it")
    assert (found.status, found.length, found.keep) == (201, 3, False)
    assert found.head == b"HTTP/1.1 201 Made it\r\nA: b\r\nContent-Length: 3\r"
    assert response(b"", b"HTTP/1.1 200").head == b"HTTP/1.1 200 \r"
    assert response(b"").length == UNTOLD
    assert response(b"Transfer-Encoding: chunked\r\n").length == CHUNKED


def test_answers_that_have_no_body_say_so() -> None:
    assert response(b"Content-Length: 5\r\nA: b\r\n", b"HTTP/1.1 204 No").head == b"HTTP/1.1 204 No\r\nA: b\r"
    found = response(b"Content-Length: 5\r\n", b"HTTP/1.1 304 Same")
    assert (found.length, found.head) == (0, b"HTTP/1.1 304 Same\r\nContent-Length: 5\r")


@pytest.mark.parametrize("data", [b"GARBAGE", b"HTTP/2", b"http/1.1 200", b"\r\nHTTP/1.1"])
def test_junk_is_seen_by_its_first_bytes(data: bytes) -> None:
    assert junk(data)
    assert not any(junk(b"HTTP/1.1 200 OK"[:n]) for n in range(15))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_refusal(data: bytes) -> None:
    for head in (data + b"\r\n", b"GET / HTTP/1.1\r\n" + data + b"\r\n", b"GET " + data + b" HTTP/1.1\r\nHost: a\r\n"):
        found = parse_request(head)
        assert isinstance(found, Request | Refusal)
        if isinstance(found, Request):
            assert found.host
            assert b"\n" not in found.line
            assert b"\r\n\r" not in found.kept
        assert isinstance(parse_response(head), Response | Refusal)
    assert isinstance(refuse_early(data), Refusal | None)


@given(st.integers(1, 60))
def test_a_good_head_is_never_refused_before_its_end(size: int) -> None:
    assert refuse_early(b"GET / HTTP/1.1\r\nHost: app.test\r\nAccept: */*\r\nA: b\r\n"[:size]) is None


@given(
    st.lists(st.sampled_from([b"GET / HTTP/1.1", b"\r\n", b"\r", b"\n", b"A: b", b"\0", b"x" * 9000])),
    st.integers(0, 99),
)
def test_a_head_that_is_judged_in_pieces_is_judged_the_same(parts: list[bytes], place: int) -> None:
    data = b"".join(parts)
    seen = place * len(data) // 100
    if refuse_early(data[:seen]) is None:
        assert (refuse_early(data, seen) is None) == (refuse_early(data) is None)


LONG = st.tuples(
    st.sampled_from([b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nA: %b\r\n\r\n"]),
    st.integers(-30, 3),
)


@given(LONG, st.data())
def test_a_long_line_is_refused_at_once_or_never_however_it_comes(
    case: tuple[bytes, int], draws: st.DataObject
) -> None:
    shape, more = case
    head = shape % (b"x" * (LINE_LIMIT + more))
    place = draws.draw(st.one_of(st.integers(1, len(head) - 1), st.integers(len(head) - 40, len(head) - 1)))
    refused = isinstance(parse_request(head[:-2]), Refusal)
    early = refuse_early(head[:place])
    assert refused or early is None
    assert not refused or refuse_early(head[:-3])

"""Where bodies end, however they are cut on their way."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.router.body import BadBody, Chunks, Counted


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


PLACES = st.lists(st.integers(0, 10_000), max_size=30)


@given(st.lists(st.binary(min_size=1, max_size=40)), st.sampled_from([b"", b";a=b"]), st.booleans(), PLACES)
def test_a_chunked_body_ends_where_it_ends(chunks: list[bytes], ext: bytes, trailer: bool, places: list[int]) -> None:
    framed = b"".join(b"%X%b\r\n%b\r\n" % (len(c), ext, c) for c in chunks)
    body = framed + b"0\r\n" + (b"X-Sum: 1\r\n" if trailer else b"") + b"\r\n"
    scan, seen, taken = Chunks(decode=True), 0, b""
    for piece in cut(body + b"GET / HTTP/1.1", places):
        end = scan.feed(piece)
        taken += scan.take()
        if end >= 0:
            assert seen + end == len(body)
            assert taken == b"".join(chunks)
            return
        seen += len(piece)
    raise AssertionError("no end was found")


@given(st.binary(max_size=60), PLACES)
def test_whatever_comes_it_is_understood_or_refused_the_same(data: bytes, places: list[int]) -> None:
    def scanned(pieces: list[bytes]) -> int | str:
        scan, seen = Chunks(), 0
        try:
            for piece in pieces:
                if (end := scan.feed(piece)) >= 0:
                    return seen + end
                seen += len(piece)
        except BadBody:
            return "bad"
        return "more"

    data = b"5\r\nhello\r\n" + data
    whole, pieces = scanned([data]), scanned(cut(data, places))
    assert pieces == whole


def test_a_counted_body() -> None:
    body = Counted(5)
    assert (body.feed(b"abc"), body.feed(b""), body.feed(b"defg")) == (-1, -1, 2)


def test_trailers_are_limited() -> None:
    scan = Chunks()
    scan.feed(b"0\r\n")
    assert scan.feed(b"A: b\r\n" * 1300) == -1
    with pytest.raises(BadBody, match="trailer"):
        scan.feed(b"A: b\r\n" * 100)

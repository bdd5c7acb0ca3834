"""Generated conversations: requests as a client may send them, and the answers that an app may give to each."""

from dataclasses import dataclass

from hypothesis import strategies as st

NAMES = ("Accept", "X-A", "Cookie", "x.y", "Range", "TE", "Keep-Alive", "X-Listed", "Content-Type", "X-Forwarded-For")
VALUES = ("", "a", "b c", " padded\t", "\xe9\x80", 'q="1, 2"', "close", "chunked", "0")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `closes`: the app ends the connection after it."""

    request: bytes
    response: bytes
    closes: bool = False


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    """A body in chunks, with extensions and trailers of all sorts."""
    framed = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20) | st.just(b"\r\n0\r\n\r\n"), max_size=4)):
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % len(data)
        framed += size + draw(st.sampled_from([b"", b";", b";a=b", b';a="\xe9 ;"'])) + b"\r\n" + data + b"\r\n"
    last = draw(st.sampled_from([b"0", b"000", b"0;x=y"])) + b"\r\n"
    trailer = draw(st.lists(st.sampled_from([b"X-Sum: 1\r\n", b"Content-Length: 5\r\n", b"Host: b\r\n"]), max_size=2))
    return framed + last + b"".join(trailer) + b"\r\n"


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4))
    return "".join(f"{name}:{value}\r\n" for name, value in lines).encode("latin-1")


@st.composite
def body(draw: st.DrawFn, minor: int) -> tuple[bytes, bytes]:
    """The fields that tell a body's length, and the body."""
    kind = draw(st.sampled_from(["none", "counted", *(["chunked"] * minor)]))
    if kind == "none":
        return b"", b""
    if kind == "chunked":
        return b"transfer-Encoding: Chunked\r\n", draw(chunked())
    data = draw(st.binary(max_size=30) | st.just(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"))
    return b"Content-Length: %d\r\n" % len(data), data


@st.composite
def request(draw: st.DrawFn, path: bytes, method: bytes) -> bytes:
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    framing, data = draw(body(minor))
    # Whether a connection outlives an answer of the router's own hangs on what of the body has come: so here is none.
    host = draw(st.sampled_from([b"app.test"] * 6 + [b"APP.test.:80"] + [b"nowhere"] * (not data)))
    target = draw(st.sampled_from([path, path, path + b"?a=%2f//..", b"http://%b%b" % (host, path)]))
    connection = draw(
        st.sampled_from([b"", b"", b"", b"Keep-Alive", b"keep-alive, X-Listed", b"close", b"Host, Content-Length"])
    )
    extra = draw(fields()) + (b"Connection: %b\r\n" % connection if connection else b"")
    if minor and data and draw(st.booleans()):
        extra += b"Expect: 100-Continue\r\n"
    line = b"%b %b HTTP/1.%d\r\n" % (method, target, minor)
    before = draw(st.sampled_from([b"", b"", b"\r\n", b"\r\n" * 3]))
    return before + line + b"Host: %b\r\n" % host + extra + framing + b"\r\n" + data


@st.composite
def response(draw: st.DrawFn, method: bytes) -> tuple[bytes, bool]:
    """All bytes of an answer, interim ones first, and whether the app closes after it."""
    interim = draw(st.lists(st.sampled_from([b"100 Continue", b"103 Early Hints", b"102 "]), max_size=3))
    before = b"".join(b"HTTP/1.1 %b\r\nLink: x\r\n\r\n" % status for status in interim)
    minor = draw(st.sampled_from([1, 1, 1, 0]))
    status = draw(st.sampled_from([200, 200, 200, 204, 304, 404, 500]))
    framing, data = draw(body(minor))
    if status == 204:
        framing = b""
    if status in (204, 304) or method == b"HEAD":
        data = b""
    endless = not framing and status not in (204, 304) and method != b"HEAD"
    if endless:
        data = draw(st.binary(max_size=30))
    closes = endless or draw(st.sampled_from([False, False, False, True]))
    extra = draw(fields()) + (b"Connection: close\r\n" if closes else b"")
    if not minor and not closes:
        extra += b"Connection: keep-alive\r\n"
    return before + b"HTTP/1.%d %d Fine\r\n" % (minor, status) + extra + framing + b"\r\n" + data, closes


@st.composite
def exchange(draw: st.DrawFn, path: bytes) -> Exchange:
    method = draw(st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"FOO"]))
    return Exchange(draw(request(path, method)), *draw(response(method)))


@st.composite
def exchanges(draw: st.DrawFn) -> list[Exchange]:
    """What one client asks on its connection, one after the other; the n-th has the path `/n`."""
    return [draw(exchange(b"/%d" % number)) for number in range(draw(st.integers(1, 5)))]

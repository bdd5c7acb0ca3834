"""Answers of apps that lie, err, or break off. `evil` is what must not pass for an answer."""

from dataclasses import dataclass

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

BAD, BROKEN, FINE = "502", "broken", "fine"


@dataclass(frozen=True)
class Rogue:
    """What an app says to a request, and what it says once the client has seen the head of that; `closes`: then it
    ends the connection. The client gets a 502, a connection that breaks, or a fine answer."""

    name: str
    data: bytes
    gives: str = BAD
    then: bytes = b""
    method: bytes = b"GET"
    closes: bool = False


def counted(fields: bytes, body: bytes = b"body") -> bytes:
    return HEAD + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


STATUS_LINES = [
    b"", b"hello", b"<html>evil</html>", b"\nHTTP/1.1 200 OK", b" HTTP/1.1 200 OK", b"\x00HTTP/1.1 200 OK",
    b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 000 OK", b"HTTP/1.1  200 OK",
    b"HTTP/1.1 200OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 -200 OK",
    b"HTTP/1.1 abc OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"HTTP/1.1 ", b"http/1.1 200 OK", b"HTTP/1.2 200 OK",
    b"HTTP/1.10 200 OK", b"HTTP/0.9 200 OK", b"HTTP/2 200", b"HTTP/2.0 200 OK", b"ICY 200 OK", b"RTSP/1.0 200 OK",
    b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nK", b"HTTP/1.1 200 O\x7fK", b"HTTP/1.1 200\tOK",
    b"HTTP/1.1 200\x0bOK", b"SSH-2.0-evil", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0", b"GET /evil HTTP/1.1",
]  # fmt: skip

LENGTHS = [
    b"", b"+4", b"-1", b"4, 4", b"4,5", b"0x4", b"4 4", b"4;", b"1_0", b"four", b"\xb2", b"9" * 30, b"4.0", b"4\x00",
    b"4\r\n 0", b"4\r\nContent-Length: 4", b"4\r\nContent-Length: 40", b"0\r\nContent-Length: 4",
    b"4\r\nTransfer-Encoding: chunked", b"4\r\nTransfer-Encoding: identity",
]  # fmt: skip

CODINGS = [
    b"gzip", b"identity", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"", b"chunked,",
    b",chunked", b'"chunked"', b"\x0bchunked", b"chunked;q=1", b"chunked\r\nTransfer-Encoding: chunked",
    b"chunked\r\nContent-Length: 4",
]  # fmt: skip

FIELDS = [
    b"X : y", b" X: folded", b"X: y\r\n folded", b": y", b"no colon", b"X: \x00", b"X: \x01", b"X: a\rb", b"X: a\nb",
    b"X Y: z", b"\xe9: y", b"X: y\n", b"X: y\r", b"X\x00: y", b"X: " + b"y" * 9000, b"\r\n".join([b"X: y"] * 200),
    b"\r\n".join([b"X: " + b"y" * 4000] * 30), b"Content-Length : 4", b"Transfer-Encoding : chunked",
    b"HTTP/1.1 200 OK",
]  # fmt: skip

CHUNKS = [
    b"zz\r\n", b"\r\n", b"-1\r\n", b"+4\r\nbody\r\n", b"0x4\r\nbody\r\n", b"4 \r\nbody\r\n", b"4_0\r\n",
    b"f" * 17 + b"\r\n", b"4\nbody\n0\n\n", b"4\r\nbodybody\r\n", b"4\r\nbody\n0\r\n\r\n", b"4;\x00\r\nbody\r\n",
    b"4;" + b"a" * 4000, b"4\r\nbody\r\n0\r\nX : y\r\n\r\n", b"4\r\nbody\r\n0\r\n folded: x\r\n\r\n",
    b"4\r\nbody\r\n0\r\nA: b\nC: d\r\n\r\n", b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n", b"0\r\n" + EVIL,
]  # fmt: skip

HEADS = [
    *[Rogue(f"status line {line!r}", line + b"\r\nContent-Length: 4\r\n\r\nevil") for line in STATUS_LINES],
    *[Rogue(f"length {value!r}", HEAD + b"Content-Length: %b\r\n\r\nbody" % value + EVIL) for value in LENGTHS],
    *[Rogue(f"coding {te!r}", HEAD + b"Transfer-Encoding: %b\r\n\r\n4\r\nevil\r\n0\r\n\r\n" % te) for te in CODINGS],
    *[Rogue(f"field {line[:40]!r} {len(line)}", counted(line + b"\r\n") + EVIL) for line in FIELDS],
    Rogue("coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Rogue("all lines with bare LF", EVIL.replace(b"\r\n", b"\n"), closes=True),
    Rogue("101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\n\r\n" + EVIL),
    Rogue("100 for ever", b"HTTP/1.1 100 Continue\r\n\r\n" * 300 + EVIL),
    Rogue("junk after 100", b"HTTP/1.1 100 Continue\r\n\r\nevil\r\n\r\n"),
    Rogue("nothing", b"", closes=True),
    Rogue("a part of a status line", b"HTTP/1.1 2", closes=True),
    Rogue("a part of a head", HEAD + b"Content-Len", closes=True),
    Rogue("a head without its empty line", HEAD + b"Content-Length: 0\r\n", closes=True),
    Rogue("a head without its last LF", HEAD + b"Content-Length: 0\r\n\r", closes=True),
    Rogue("nothing after 100", b"HTTP/1.1 100 Continue\r\n\r\n", closes=True),
]

BODIES = [
    *[Rogue(f"chunks {body[:40]!r} {len(body)} at once", CHUNKED + body) for body in CHUNKS],
    *[Rogue(f"chunks {body[:40]!r} {len(body)} later", CHUNKED, BROKEN, then=body) for body in CHUNKS],
    Rogue("a body cut", HEAD + b"Content-Length: 9\r\n\r\nbody", BROKEN, closes=True),
    Rogue("a body that does not come", HEAD + b"Content-Length: 9\r\n\r\n", BROKEN, closes=True),
    Rogue("chunks cut in a size", CHUNKED + b"4\r\nbody\r\n1", BROKEN, closes=True),
    Rogue("chunks cut in data", CHUNKED + b"4\r\nbo", BROKEN, closes=True),
    Rogue("chunks cut after data", CHUNKED + b"4\r\nbody", BROKEN, closes=True),
    Rogue("chunks without the last", CHUNKED + b"4\r\nbody\r\n", BROKEN, closes=True),
    Rogue("chunks without the empty line", CHUNKED + b"4\r\nbody\r\n0\r\n", BROKEN, closes=True),
    Rogue("a trailer cut", CHUNKED + b"4\r\nbody\r\n0\r\nA: b", BROKEN, closes=True),
    Rogue("a second head in a body", HEAD + b"Content-Length: 60\r\n\r\n", BROKEN, then=EVIL, closes=True),
]

SURPLUS = [
    Rogue("more than its length", counted(b"") + EVIL, FINE),
    Rogue("more than its length, a byte", counted(b"") + b"!", FINE),
    Rogue("more than its length, then the end", counted(b"") + EVIL, FINE, closes=True),
    Rogue("more than its chunks", CHUNKED + b"4\r\nbody\r\n0\r\n\r\n" + EVIL, FINE),
    Rogue("more than its chunks, an empty line", CHUNKED + b"4\r\nbody\r\n0\r\n\r\n\r\n", FINE),
    Rogue("a body to HEAD", counted(b""), FINE, method=b"HEAD"),
    Rogue("chunks to HEAD", CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", FINE, method=b"HEAD"),
    Rogue("no length to HEAD", HEAD + b"\r\n", FINE, method=b"HEAD"),
    Rogue("a body of 204", b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL, FINE),
    Rogue("a length and a body of 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil", FINE),
    Rogue("chunks of 204", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", FINE),
    Rogue("a body of 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil", FINE),
    Rogue("chunks of 304", b"HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", FINE),
    Rogue("a length of 100", b"HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\n" + counted(b""), FINE),
    Rogue("no length, no end said", HEAD + b"\r\nbody", FINE, closes=True),
    Rogue("no length, said to stay", HEAD + b"Connection: keep-alive\r\n\r\nbody", FINE, closes=True),
    Rogue("said to close, and stays", counted(b"Connection: close\r\n"), FINE),
    Rogue("HTTP/1.0", counted(b"").replace(b"1.1", b"1.0", 1), FINE),
    Rogue("Connection: Content-Length", counted(b"Connection: Content-Length\r\n"), FINE),
    Rogue("Connection: Transfer-Encoding", CHUNKED[:-2] + b"Connection: transfer-encoding\r\n\r\n0\r\n\r\n", FINE),
    Rogue("Keep-Alive: max=1", counted(b"Keep-Alive: timeout=0, max=1\r\n"), FINE),
    Rogue("Upgrade unasked", counted(b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), FINE),
    Rogue("an odd status", counted(b"").replace(b"200", b"599", 1), FINE),
]

ALL = HEADS + BODIES + SURPLUS

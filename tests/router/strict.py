"""The judge: a reader of HTTP/1.1 from RFC 9112 alone. It forgives nothing, and shares no code with the router.

`read_request` and `read_response` look at bytes and give the message that begins them, with where it ends; None means
that the message is not complete; Malformed, that it never can be.
"""

import re
from dataclasses import dataclass, field

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(%s) ([!-~]+) HTTP/1\.([01])" % TOKEN)
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t -~\x80-\xff]*)")
FIELD = re.compile(rb"(%s):[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*" % TOKEN)
CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})(?:;[\t -~\x80-\xff]*)?")
HOST = re.compile(rb"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")

Fields = tuple[tuple[bytes, bytes], ...]


class Malformed(Exception):
    """No reader of good sense takes this for HTTP/1.1."""


@dataclass(frozen=True)
class Message:
    """One message. Names of fields are lower-case; `raw` is the body with its framing, `data` without."""

    start: tuple[bytes, ...]
    fields: Fields
    raw: bytes = b""
    data: bytes = b""
    trailer: Fields = ()
    framing: str = "none"
    """How its end is told: none, counted, chunked, or close."""
    minor: int = field(default=1)

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.fields if found == name]

    def tokens(self, name: bytes) -> set[bytes]:
        return {t.strip().lower() for value in self.values(name) for t in value.split(b",")} - {b""}


def read_request(data: bytes) -> tuple[Message, int] | None:
    """The request at the start of `data`, and its length."""
    head = _head(data)
    if head is None:
        return None
    line, fields, at = head
    match = REQUEST_LINE.fullmatch(line)
    if not match:
        raise Malformed(f"request line {line!r}")
    minor = int(match[3])
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) != 1 and (minor or hosts):
        raise Malformed(f"hosts {hosts}")
    if hosts and hosts[0] and not HOST.fullmatch(hosts[0]):
        raise Malformed(f"host {hosts[0]!r}")
    return _with_body(Message((match[1], match[2]), fields, minor=minor), data, at, _framing(fields, "none", minor))


def read_response(data: bytes, method: bytes = b"GET", ended: bool = False) -> tuple[Message, int] | None:
    """The response at the start of `data`, final or interim, and its length. `ended`: no more bytes will come."""
    head = _head(data)
    if head is None:
        return None
    line, fields, at = head
    match = STATUS_LINE.fullmatch(line)
    if not match:
        raise Malformed(f"status line {line!r}")
    minor, status = int(match[1]), int(match[2])
    framing = _framing(fields, "close", minor)
    if status < 200 or status == 204:
        if framing != "close":
            raise Malformed(f"a {status} with a body's length")
        framing = "none"
    elif status == 304 or method == b"HEAD":
        framing = "none"
    if framing == "close" and not ended:
        return None
    return _with_body(Message((match[2], match[3]), fields, minor=minor), data, at, framing)


def _head(data: bytes) -> tuple[bytes, Fields, int] | None:
    end = data.find(b"\r\n\r\n")
    known = data[: end + 2] if end >= 0 else data
    if re.search(rb"(?<!\r)\n|\r(?!\n|\Z)|\0", known):
        raise Malformed(f"line ends in {known[:200]!r}")
    if end < 0:
        return None
    line, *lines = data[:end].split(b"\r\n")
    return line, _fields(lines), end + 4


def _fields(lines: list[bytes]) -> Fields:
    found = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if not match:
            raise Malformed(f"field {line!r}")
        found.append((match[1].lower(), match[2] or b""))
    return tuple(found)


def _framing(fields: Fields, default: str, minor: int) -> str:
    """`chunked`, a number of bytes in digits, or the default."""
    lengths = [value for name, value in fields if name.replace(b"_", b"-") == b"content-length"]
    codings = [value for name, value in fields if name.replace(b"_", b"-") == b"transfer-encoding"]
    if codings:
        if lengths or len(codings) != 1 or codings[0].lower() != b"chunked" or not minor:
            raise Malformed(f"codings {codings}, lengths {lengths}")
        return "chunked"
    if not lengths:
        return default
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Malformed(f"lengths {lengths}")
    return lengths[0].decode()


def _with_body(message: Message, data: bytes, at: int, framing: str) -> tuple[Message, int] | None:
    trailer: Fields = ()
    if framing == "chunked":
        found = _chunks(data, at)
        if found is None:
            return None
        body, trailer, end = found
    else:
        end = len(data) if framing == "close" else at if framing == "none" else at + int(framing)
        if end > len(data):
            return None
        body = data[at:end]
    kind = "counted" if framing.isdigit() else framing
    whole = Message(message.start, message.fields, data[at:end], body, trailer, kind, message.minor)
    return whole, end


def _chunks(data: bytes, at: int) -> tuple[bytes, Fields, int] | None:
    body = b""
    while True:
        line = _line(data, at)
        if line is None:
            return None
        match = CHUNK.fullmatch(line)
        if not match:
            raise Malformed(f"chunk {line!r}")
        at += len(line) + 2
        size = int(match[1], 16)
        if not size:
            return _trailer(data, at, body)
        if len(data) < at + size + 2:
            return None
        body += data[at : at + size]
        at += size + 2
        if data[at - 2 : at] != b"\r\n":
            raise Malformed("a chunk does not end where its size says")


def _trailer(data: bytes, at: int, body: bytes) -> tuple[bytes, Fields, int] | None:
    lines = list[bytes]()
    while True:
        line = _line(data, at)
        if line is None:
            return None
        at += len(line) + 2
        if not line:
            return body, _fields(lines), at
        lines.append(line)


def _line(data: bytes, at: int) -> bytes | None:
    end = data.find(b"\n", at)
    if end < 0:
        return None
    line = data[at:end]
    if not line.endswith(b"\r") or b"\r" in line[:-1]:
        raise Malformed(f"line {line!r}")
    return line[:-1]

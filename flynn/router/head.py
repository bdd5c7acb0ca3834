"""The heads of requests and responses: bytes in, a parsed head or a Refusal out. Nothing here knows a socket.

A head is passed on as the bytes it came in, less the hop-by-hop fields (RFC 9110 section 7.6.1), so a part of it
that the router does not understand reaches the app, and the client, as it was sent.
"""

import re

import msgspec

from flynn.router.fields import CHUNKED, LINE_LIMIT, TOKEN, UNTOLD, Fields, Refusal, parse_fields, tokens

HEAD_LIMIT = 64 * 1024

HOST = rb"(?:[0-9A-Za-z._-]++|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
"""A pattern for what a Host may be."""

_REQUEST_LINE = re.compile(rb"(%s{1,32}+) ([\x21-\x22\x24-\x7e]++) HTTP/1\.([01])\r" % TOKEN)
_SHAPE = re.compile(rb"%s+ [^ ]+ HTTP/[0-9]+(\.[0-9]+)?\r?" % TOKEN)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)")
_HOST = re.compile(HOST)
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])( [\t\x20-\x7e\x80-\xff]*+)?\r")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9+/=-]{20,200}")
_START = re.compile(rb"%s" % TOKEN)
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)(?!\Z)")

END = b"\n\r\n"
"""What completes a head that ends with the CR of its last field."""

BODILESS = frozenset({204, 304})

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""Methods that may be sent twice with the effect of once (RFC 9110 section 9.2.2)."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request's head. `target` is as it will be sent: a path, or `*`. `length` is bytes (0: no body) or CHUNKED.

    `line` is the request line to send, with its CR; `kept` follows it as it is. `keep`: the client would send more on
    this connection. `forwarded` has what it says of a proxy before this one, by lower-case name. `upgrade` is the
    protocol asked for in place of HTTP. `repeatable`: sending it a second time can do no harm, and is possible. `id`
    is the client's own name for it, if that is fit to be one.
    """

    method: bytes
    target: bytes
    host: bytes
    minor: bool
    keep: bool
    length: int
    line: bytes
    kept: bytes
    forwarded: tuple[tuple[bytes, bytes], ...]
    upgrade: bytes
    repeatable: bool
    id: bytes


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response's head. `head` is what is passed on, up to the last CR; `whole` is it with its end, for a client
    whose connection goes on. `length`: bytes, CHUNKED or UNTOLD."""

    status: int
    length: int
    keep: bool
    head: bytes
    whole: bytes
    upgrade: bytes = b""


def parse_request(head: bytes) -> Request | Refusal:
    """A request's head, from its first byte to the CR LF of its last field, without the empty line."""
    end = head.find(b"\n")
    line = _REQUEST_LINE.fullmatch(head, 0, end)
    if not line:
        return _bad_line(head[:end])
    if end > LINE_LIMIT:
        return Refusal(414, f"the request line has more than {LINE_LIMIT} bytes")
    fields = parse_fields(head[end:])
    if type(fields) is Refusal:
        return fields
    assert isinstance(fields, Fields)
    method, target, minor = line[1], line[2], line[3] == b"1"
    if refusal := _misfit(fields, method, minor):
        return refusal
    if target[0] != 47:  # "/"
        return _elsewhere(fields, method, target, minor)
    return _request(fields, method, target, minor, head[:end], fields.kept, fields.host)


def _request(
    fields: Fields, method: bytes, target: bytes, minor: bool, line: bytes, kept: bytes, host: bytes
) -> Request:
    if not minor:
        line = b"%b %b HTTP/1.1\r" % (method, target)
    connection = fields.connection
    if not host:
        kept += b"\nHost: \r"
    keep = b"close" not in connection and (minor or b"keep-alive" in connection)
    upgrade = b""
    if fields.upgrade and minor and b"upgrade" in connection and b"h2c" not in tokens([fields.upgrade]):
        upgrade = fields.upgrade
    length = 0 if fields.length == UNTOLD else fields.length
    repeatable = not length and not upgrade and method in IDEMPOTENT
    id = fields.request_id if _REQUEST_ID.fullmatch(fields.request_id) else b""
    return Request(method, target, host, minor, keep, length, line, kept, fields.forwarded, upgrade, repeatable, id)


def _misfit(fields: Fields, method: bytes, minor: bool) -> Refusal | None:
    if fields.hosts != 1 and (minor or fields.hosts):
        return Refusal(400, "there must be one Host field")
    if fields.hosts and not _HOST.fullmatch(fields.host):
        return Refusal(400, "the Host is no host name")
    if fields.length == CHUNKED and not minor:
        return Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
    if fields.expect and fields.expect != b"100-continue":
        return Refusal(417, "the only expectation known is 100-continue")
    if method == b"CONNECT":
        return Refusal(405, "this is no proxy to elsewhere: CONNECT is not served")
    return None


def _elsewhere(fields: Fields, method: bytes, target: bytes, minor: bool) -> Request | Refusal:
    """A target that is no path: `*`, or a whole URL, whose host then counts (RFC 9112 section 3.2.2)."""
    if target == b"*" and method == b"OPTIONS":
        line = b"OPTIONS * HTTP/1.1\r"
        return _request(fields, method, target, minor, line, fields.kept, fields.host)
    url = _ABSOLUTE.fullmatch(target)
    if not url or not _HOST.fullmatch(url[1]):
        return Refusal(400, "the request target is no path")
    path = url[2] if url[2].startswith(b"/") else b"/" + url[2]
    kept = re.sub(rb"\n(?i:host):[^\r]*\r", b"", fields.kept) + b"\nHost: %b\r" % url[1]
    line = b"%b %b HTTP/1.1\r" % (method, path)
    return _request(fields, method, path, minor, line, kept, url[1])


def _bad_line(line: bytes) -> Refusal:
    if len(line) > LINE_LIMIT:
        return Refusal(414, f"the request line has more than {LINE_LIMIT} bytes")
    version = line.rstrip(b"\r").rpartition(b" HTTP/")[2]
    if _SHAPE.fullmatch(line) and version not in (b"1.0", b"1.1"):
        return Refusal(505, "the HTTP version is not served here")
    return Refusal(400, "the request line is not well formed")


def refuse_early(data: bytes, seen: int = 0) -> Refusal | None:
    """Why a head that has no end yet can come to no good end, if it cannot. Its first `seen` bytes were judged before:
    a head that dribbles in is not read from its start again for each byte."""
    end = data.find(b"\n")
    if end < 0:
        if len(data) > LINE_LIMIT:
            return Refusal(414, f"the request line has more than {LINE_LIMIT} bytes")
        return None if _START.match(data) or data == b"\r" else Refusal(400, "this is no HTTP request")
    if end >= seen and not _REQUEST_LINE.fullmatch(data, 0, end):
        return _bad_line(data[:end])
    if len(data) > HEAD_LIMIT:
        return Refusal(431, f"the head has more than {HEAD_LIMIT} bytes")
    if len(data) > LINE_LIMIT and max(map(len, data[data.rfind(b"\n", 0, seen) + 1 :].split(b"\n"))) > LINE_LIMIT:
        return Refusal(431, f"a header field has more than {LINE_LIMIT} bytes")
    return Refusal(400, "a line does not end with CR LF") if _BARE.search(data, max(seen - 1, 0)) else None


def parse_response(head: bytes) -> Response | Refusal:
    """A response's head, from its first byte to the CR LF of its last field, without the empty line."""
    end = head.find(b"\n")
    line = _STATUS_LINE.fullmatch(head, 0, end)
    if not line:
        return Refusal(502, "the status line is not well formed")
    fields = parse_fields(head[end:])
    if isinstance(fields, Refusal):
        return Refusal(502, fields.reason)
    status, minor = int(line[2]), line[1] == b"1"
    if fields.length == CHUNKED and not minor:
        return Refusal(502, "HTTP/1.0 has no Transfer-Encoding")
    kept, length = fields.kept, fields.length
    if status < 200 or status in BODILESS:
        length = 0
        if status != 304:
            kept = re.sub(rb"\n(?i:content-length|transfer-encoding):[^\r]*\r", b"", kept)
    keep = b"close" not in fields.connection and (minor or b"keep-alive" in fields.connection)
    head = b"HTTP/1.1 %b%b\r%b" % (line[2], line[3] or b" ", kept)
    return Response(status, length, keep, head, head + END, fields.upgrade)


def junk(data: bytes) -> bool:
    """Whether these first bytes of an answer begin no HTTP/1 response."""
    return not data.startswith(b"HTTP/1."[: len(data)])

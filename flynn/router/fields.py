"""The header fields of one message, bytes in, facts out: what the router must know, and what it passes on.

A block of fields is `\\nName: value\\r` repeated, then `\\n`: each field can be cut out whole.
"""

import re
from collections.abc import Iterable

import msgspec

FIELDS_LIMIT = 100
LINE_LIMIT = 8 * 1024

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

CHUNKED = -1
"""The length of a body that comes in chunks."""

UNTOLD = -2
"""The head says nothing of a body's length: none in a request; in a response, all until the connection ends."""

_BLOCK = re.compile(rb"(?:\n%s++:[\t\x20-\x7e\x80-\xff]*+\r)*+\n" % TOKEN)

_OURS = re.compile(
    rb"\n(host|content[-_]length|transfer[-_]encoding|connection|upgrade|expect|te|keep[-_]alive"
    rb"|proxy[-_](?:connection|authenticate|authorization)|x[-_]request[-_](?:id|start)"
    rb"|forwarded|x[-_]forwarded[-_](?:for|proto|port|host)):([^\r]*)\r",
    re.IGNORECASE,
)
"""The fields that concern the router. Apps in CGI style read `X_Forwarded_For` as `X-Forwarded-For`: so do we."""

_ESSENTIAL = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""Fields that a `Connection` line cannot have removed: how the message is understood hangs on them."""

_PASSED = _ESSENTIAL | {b"expect"}
"""Fields that concern the router and the app: who waits for a 100 (Continue) gets it from the app."""


class Refusal(msgspec.Struct, frozen=True):
    """A message that is not passed on: the status to answer with, and why, in a few words."""

    status: int
    reason: str


class Fields(msgspec.Struct, frozen=True, gc=False):
    """What one block of fields says. `kept` is the block without what is not passed on, less its last newline.

    `hosts` counts Host fields. `length` is bytes, CHUNKED or UNTOLD. `connection` has the lower-case tokens of
    Connection. `forwarded` has what was said of a proxy before this one, by lower-case name.
    """

    kept: bytes
    host: bytes = b""
    hosts: int = 0
    length: int = UNTOLD
    connection: frozenset[bytes] = frozenset()
    upgrade: bytes = b""
    expect: bytes = b""
    request_id: bytes = b""
    forwarded: tuple[tuple[bytes, bytes], ...] = ()


def parse_fields(block: bytes) -> Fields | Refusal:
    """What a block says. Strict (RFC 9112 sections 5 and 6.3): no bare CR or LF, no folding, one plain length."""
    if not _BLOCK.fullmatch(block):
        return Refusal(400, "a header field is not well formed")
    if block.count(b"\n") > FIELDS_LIMIT + 1:
        return Refusal(431, f"there are more than {FIELDS_LIMIT} header fields")
    if len(block) > LINE_LIMIT and max(map(len, block.split(b"\n"))) > LINE_LIMIT:
        return Refusal(431, f"a header field has more than {LINE_LIMIT} bytes")
    found: dict[bytes, list[bytes]] = {}
    cuts: list[tuple[int, int]] = []
    for match in _OURS.finditer(block):
        name = match[1].lower()
        found.setdefault(name, []).append(match[2].strip(b" \t"))
        if name not in _PASSED:
            cuts.append(match.span())
    return _told(block, found, cuts)


def _told(block: bytes, found: dict[bytes, list[bytes]], cuts: list[tuple[int, int]]) -> Fields | Refusal:
    length = _length(found.get(b"content-length", []), found.get(b"transfer-encoding", []))
    if isinstance(length, Refusal):
        return length
    connection = frozenset(tokens(found.get(b"connection", ())))
    kept = _without(block, cuts)[:-1]
    if listed := connection - _ESSENTIAL - {b"close", b"keep-alive", b"upgrade"}:
        kept = _without_named(kept, listed)
    hosts = found.get(b"host", [])
    forwarded = tuple((n, b", ".join(v)) for n, v in found.items() if n.startswith((b"x-forwarded-", b"forwarded")))
    return Fields(
        kept=kept,
        host=hosts[0] if hosts else b"",
        hosts=len(hosts),
        length=length,
        connection=connection,
        upgrade=b", ".join(found.get(b"upgrade", ())),
        expect=b", ".join(found.get(b"expect", ())).lower(),
        request_id=found.get(b"x-request-id", [b""])[0],
        forwarded=forwarded,
    )


def _length(lengths: list[bytes], codings: list[bytes]) -> int | Refusal:
    """RFC 9112 section 6.3, without its leniencies: whoever is told two lengths may be someone's smuggler."""
    if codings:
        if lengths:
            return Refusal(400, "both Content-Length and Transfer-Encoding are given")
        if len(codings) == 1 and codings[0].lower() == b"chunked":
            return CHUNKED
        return Refusal(400, "the Transfer-Encoding is not exactly `chunked`")
    if not lengths:
        return UNTOLD
    if len(lengths) == 1 and len(lengths[0]) <= 18 and lengths[0].isdigit():
        return int(lengths[0])
    return Refusal(400, "the Content-Length is not one plain number")


def tokens(values: Iterable[bytes]) -> list[bytes]:
    """The lower-case members of comma-separated lists."""
    return [token for value in values for part in value.split(b",") if (token := part.strip(b" \t").lower())]


def _without(block: bytes, cuts: list[tuple[int, int]]) -> bytes:
    kept, at = [], 0
    for start, end in cuts:
        kept.append(block[at:start])
        at = end
    return b"".join([*kept, block[at:]])


def _without_named(block: bytes, names: frozenset[bytes]) -> bytes:
    fields = block.split(b"\r")
    return b"\r".join(f for f in fields if f[1:].partition(b":")[0].lower() not in names)

"""Heads of the common shapes, read in one match: what most clients and apps send.

What is read here is read in the same way by `head.py`, which knows all shapes; what is not of these shapes is left to
it. So nothing is decided here, and a head that looks odd in any way gets the thorough look.
"""

import re

from flynn.router.fields import CHUNKED, TOKEN
from flynn.router.head import END, HOST, IDEMPOTENT, Request, Response

LIMIT = 2048
"""Bytes of the longest head that is read here: below all limits of its parts."""

_NAMES = (
    b"host:", b"content-length:", b"transfer-encoding:", b"connection:", b"upgrade:", b"expect:", b"te:",
    b"keep-alive:", b"proxy-", b"x-request-", b"x-forwarded-", b"forwarded:",
)  # fmt: skip
"""How the names of all fields begin that concern the router (`fields.py` has them in full)."""


def _any_case(name: bytes, dash: str = "-") -> bytes:
    """A pattern for a name. Written out, it is much faster than by a flag."""
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else dash if c == "-" else c for c in name.decode()).encode()


def _like(name: bytes) -> bytes:
    """As that, and as apps in CGI style read it, with an underscore for a dash."""
    return _any_case(name, "[-_]")


_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
_OURS = b"|".join(map(_like, _NAMES))
_OTHERS = rb"(?:\n(?!%b)%b++:%b\r){,24}(?=\n(?:%b|\Z))" % (_OURS, TOKEN, _VALUE, _OURS)
"""Fields that do not concern us: all there are, as what follows is said, so nothing is tried twice over."""

_HOST = rb"\n%b[\t ]*+(%b)[\t ]*+\r" % (_any_case(b"host:"), HOST)
_KEEP = rb"(?:\n%b ?[Kk]eep-[Aa]live\r)?" % _any_case(b"connection:")
_OFFER = rb"(?:\n%b%b\r)?" % (_any_case(b"keep-alive:"), _VALUE)
_COUNTED = rb"\n%b ?([0-9]{1,18})\r" % _any_case(b"content-length:")
_CHUNKED = rb"\n%b ?chunked\r" % _any_case(b"transfer-encoding:")

_REQUEST = re.compile(
    rb"((%b{1,32}+) (/[\x21\x22\x24-\x7e]*+) HTTP/1\.1\r)(%b%b%b(?:%b%b)?)%b(%b(?:%b%b)?)\n"
    % (TOKEN, _OTHERS, _HOST, _OTHERS, _COUNTED, _OTHERS, _KEEP, _OTHERS, _COUNTED, _OTHERS)
)
"""One Host, then one Content-Length or nothing, and `Connection: keep-alive` or nothing."""

_RESPONSE = re.compile(
    rb"(HTTP/1\.1 ([2-5][0-9][0-9]) %b)\r(%b(?:%b|%b)%b)%b%b(%b)\n"
    % (_VALUE, _OTHERS, _COUNTED, _CHUNKED, _OTHERS, _KEEP, _OFFER, _OTHERS)
)
"""One length, or chunks, then `Connection: keep-alive` with or without what it offers, or nothing."""


def plain_request(data: bytes, end: int) -> Request | None:
    """The request whose head is `data` up to `end`, behind the CR LF of its last field; None: look more closely."""
    match = _REQUEST.fullmatch(data, 0, end)
    if match is None:
        return None
    line, method, target, before, host, first, after, last = match.groups()
    if method == b"CONNECT" or (first and last):
        return None
    length = int(first or last or 0)
    repeatable = not length and method in IDEMPOTENT
    return Request(method, target, host, True, True, length, line, before + after, (), b"", repeatable, b"")


def plain_response(data: bytes, end: int) -> Response | None:
    """As `plain_request`, for a response."""
    match = _RESPONSE.fullmatch(data, 0, end)
    if match is None:
        return None
    line, status, before, length, after = match.groups()
    if status in _BODILESS:
        return None
    head = b"%b\r%b%b" % (line, before, after)
    return Response(int(status), CHUNKED if length is None else int(length), True, head, head + END)


_BODILESS = (b"204", b"304")

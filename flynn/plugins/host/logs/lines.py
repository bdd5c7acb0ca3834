"""Bytes into lines. Pure, and quick: what is in order already is only looked at, not taken apart."""

from collections.abc import Iterator
from typing import NamedTuple

LIMIT = 10_000
"""Bytes of a line; a longer one is cut into several."""


class Cut(NamedTuple):
    """Lines, each with its end `\\n`, and how many bytes they were taken from."""

    data: bytes
    lines: int
    size: int


def cut(data: bytes, ended: bool = False) -> Cut:
    """The lines that begin `data`. `\\r\\n` ends a line as well.

    What has no end yet is held back until it is longer than a line may be, unless the stream has `ended`.
    """
    whole = data.rfind(b"\n") + 1
    taken, count = _whole(data[:whole])
    pieces, size = _open(data[whole:], ended)
    if not pieces:
        return Cut(taken, count, whole)
    return Cut(taken + b"".join(piece + b"\n" for piece in pieces), count + len(pieces), whole + size)


def _whole(data: bytes) -> tuple[bytes, int]:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if _short(data):
        return data, data.count(b"\n")
    lines = [piece for line in data.split(b"\n")[:-1] for piece in _pieces(line)]
    return b"\n".join(lines) + b"\n", len(lines)


def _short(data: bytes) -> bool:
    """Whether no line is longer than LIMIT: a few leaps, each from the end of a line to the last one in reach."""
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + LIMIT + 1)
        if end < 0:
            return False
        at = end + 1
    return True


def _open(line: bytes, ended: bool) -> tuple[list[bytes], int]:
    """What may be taken of a line without an end: `\\r` and LIMIT bytes before it may still be one whole line."""
    if ended and line:
        return list(_pieces(line.removesuffix(b"\r"))), len(line)
    if len(line) <= LIMIT + 1:
        return [], 0
    *pieces, rest = _pieces(line)
    if len(rest) <= 1:  # Were it a `\r`, then it could belong to the piece before.
        rest = pieces.pop() + rest
    return pieces, len(line) - len(rest)


def _pieces(line: bytes) -> Iterator[bytes]:
    at = 0
    while len(line) - at > LIMIT:
        end = at + _boundary(line[at : at + LIMIT + 1])
        yield line[at:end]
        at = end
    yield line[at:]


def _boundary(piece: bytes) -> int:
    """Where to cut a piece of LIMIT + 1 bytes, LIMIT at most, so that no UTF-8 character is torn (RFC 3629)."""
    for back in range(4):
        if piece[LIMIT - back] & 0xC0 != 0x80:
            return LIMIT - back
    return LIMIT


def whole_characters(data: bytes) -> int:
    """How many bytes of `data` stand before a UTF-8 character that has only begun."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        wanted = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if wanted > back else len(data)
    return len(data)

"""Bytes into lines. Pure."""

from collections.abc import Iterator

LIMIT = 10_000
"""Bytes of a line; a longer one is cut into several."""


def cut(data: bytes, ended: bool) -> Iterator[tuple[str, int]]:
    """The lines that begin `data`, each with the bytes of `data` up to its end.

    A last line without an end is held back until it has LIMIT bytes, unless the stream has `ended`.
    """
    at = 0
    while at < len(data):
        end = data.find(b"\n", at, at + LIMIT + 1)
        if end >= 0:
            yield _text(data[at:end]), end + 1
            at = end + 1
        elif len(data) - at > LIMIT:
            end = at + _boundary(data[at : at + LIMIT + 1])
            yield _text(data[at:end]), end
            at = end
        elif ended:
            yield _text(data[at:]), len(data)
            return
        else:
            return


def _boundary(piece: bytes) -> int:
    """Where to cut a piece of LIMIT + 1 bytes, LIMIT at most, so that no UTF-8 character is torn (RFC 3629)."""
    for back in range(4):
        if piece[LIMIT - back] & 0xC0 != 0x80:
            return LIMIT - back
    return LIMIT


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")

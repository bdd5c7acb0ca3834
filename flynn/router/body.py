"""Where a body ends: bytes in, a position out (RFC 9112 sections 6 and 7). The bytes pass on as they came."""

import re

ENDLESS = 1 << 62
"""The length of a body that ends with its connection: more bytes than ever come."""

LINE_LIMIT = 1024
"""Bytes of a chunk's size line, extensions and all."""

TRAILER_LIMIT = 8 * 1024

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*+)?")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+")


class BadBody(Exception):
    """The framing of a body is broken: its sender is mistaken, or lies."""


class Counted:
    """A body of `size` bytes as it comes."""

    __slots__ = ("left", "size")

    def __init__(self, size: int) -> None:
        self.left = self.size = size

    def feed(self, data: bytes) -> int:
        """The position in `data` after the body's last byte, or -1 when the body goes on."""
        left, size = self.left, len(data)
        self.left = left - size
        return left if left <= size else -1


class Chunks:
    """One chunked body as it comes; `size` is the bytes of data of the chunks begun. With `decode`, `take` gives its
    data without the framing."""

    __slots__ = ("_decode", "_left", "_rest", "_taken", "_trailer", "size")

    def __init__(self, decode: bool = False) -> None:
        self.size = 0
        self._decode = decode
        self._left = 0
        """Bytes of the chunk still to come with the CR LF after them; 0: a size line is next."""
        self._rest = b""
        self._trailer = -1
        self._taken: list[bytes] = []

    def feed(self, data: bytes) -> int:
        """The position in `data` after the body's last byte, or -1 when the body goes on. BadBody."""
        rest = len(self._rest)
        if rest:
            data, self._rest = self._rest + data, b""
        at, size = 0, len(data)
        while at < size:
            if self._left:
                at = self._pass(data, at, size)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._keep(data[at:])
                return -1
            line = data[at:end]
            at = end + 2
            if self._trailer < 0:
                self._begin(line)
            elif not line:
                return at - rest
            else:
                self._trail(line)
        return -1

    def take(self) -> bytes:
        """The data that came since the last call."""
        data = b"".join(self._taken)
        self._taken.clear()
        return data

    def _pass(self, data: bytes, at: int, size: int) -> int:
        """Step over what `data` has of the chunk; the last two bytes of it are its CR LF."""
        end = min(at + self._left, size)
        left = self._left - (end - at)
        if self._decode and self._left > 2:
            self._taken.append(data[at : min(end, at + self._left - 2)])
        if left < 2:
            wanted = b"\r\n"[max(2 - self._left, 0) : 2 - left]
            if data[end - len(wanted) : end] != wanted:
                raise BadBody("a chunk does not end where its size says")
        self._left = left
        return end

    def _begin(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if not match or len(line) > LINE_LIMIT:
            raise BadBody("a chunk's size is not well formed")
        size = int(match[1], 16)
        if size:
            self.size += size
            self._left = size + 2
        else:
            self._trailer = 0

    def _trail(self, line: bytes) -> None:
        self._trailer += len(line) + 2
        if not _TRAILER.fullmatch(line) or self._trailer > TRAILER_LIMIT:
            raise BadBody("the trailer is not well formed, or too long")

    def _keep(self, line: bytes) -> None:
        limit = LINE_LIMIT if self._trailer < 0 else TRAILER_LIMIT
        if len(line) > limit or b"\n" in line or b"\r" in line[:-1]:
            raise BadBody("a line of the chunked framing is not well formed")
        self._rest = line


Body = Counted | Chunks

"""A tar, gzip, as it is written, with the bytes that `tarfile` writes: to load that takes longer than most slugs."""

from __future__ import annotations

import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

LEVEL = 2
"""Of gzip: a slug is moved once or twice, over a fast network; the developer waits for it."""

GZIP = 31
"""How zlib is told to write gzip, without a name and a time (zlib.h, deflateInit2)."""

BLOCK, RECORD = 512, 10240
"""Bytes of a header, of which what follows it is a multiple, and of what all together is a multiple of (tar(5))."""

NAME, SIZE, TIME = 100, 8**11, 8**11
"""Characters of a name or link, and numbers, that a header has no room for."""

PIECE = 64 * 1024

FILE, LINK, FOLDER = b"0", b"2", b"5"


class Tar:
    """Written into the file, whose length it has once the block that it is for has ended. Nobody owns what is in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._zip = file, zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._size = 0

    def __enter__(self) -> Tar:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            end = 2 * BLOCK
            self._write(bytes(end + -(self._size + end) % RECORD))
            self._file.write(self._zip.flush())

    def add(
        self, name: str, kind: bytes, mode: int, time: int, size: int = 0, link: str = "", file: IO[bytes] | None = None
    ) -> None:
        """An entry of one of the kinds above; `file` has the bytes of one that has any. OSError: fewer than `size`."""
        named = f"{name}/" if kind == FOLDER else name
        plain = named.isascii() and link.isascii() and max(len(named), len(link)) <= NAME
        is_plain = plain and size < SIZE and 0 <= time < TIME
        header = _header if is_plain else _long_header
        self._write(header(named, kind, mode, time, size, link))
        left = size
        while file and left:
            if not (piece := file.read(min(left, PIECE))):
                raise OSError(f"{name} became shorter while it was packed")
            left -= len(piece)
            self._write(piece)
        self._write(bytes(-size % BLOCK))

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        self._file.write(self._zip.compress(data))


def _header(name: str, kind: bytes, mode: int, time: int, size: int, link: str) -> bytes:
    """A header of POSIX (ustar) for what fits into one."""
    nobody = b"0000000\0" * 2
    numbers = b"%07o\0" % mode + nobody + b"%011o\0%011o\0" % (size, time)
    before = name.encode().ljust(NAME, b"\0") + numbers
    after = kind + link.encode().ljust(NAME, b"\0") + b"ustar\x0000"
    total = sum(before) + sum(after) + 8 * ord(" ")  # The field of the sum counts as spaces.
    return (before + b"%06o\0 " % total + after).ljust(BLOCK, b"\0")


def _long_header(name: str, kind: bytes, mode: int, time: int, size: int, link: str) -> bytes:
    """One with what POSIX calls extended headers (pax) before it."""
    import tarfile

    info = tarfile.TarInfo(name.rstrip("/"))
    info.type, info.mode, info.mtime, info.size, info.linkname = kind, mode, time, size, link
    return info.tobuf(tarfile.PAX_FORMAT)

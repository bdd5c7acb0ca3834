"""The files of an app's log: `NUMBER.log`, or packed `NUMBER.log.gz`, by the number of their first line.

Each begins with a `Base`; blocks follow. Only the newest is written to. All of it blocks.
"""

import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from flynn.core.logframe import HEAD_LIMIT, Base, Block, Head, decoded

log = logging.getLogger(__name__)

OPEN, PACKED = ".log", ".log.gz"
PIECE = 256 * 1024


@dataclass(frozen=True, order=True)
class Segment:
    """A file of a log. `first`: the number of its first line."""

    first: int
    path: Path

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(PACKED)

    def size(self) -> int:
        """Bytes on disk; 0 when it is gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def open(self) -> BinaryIO:
        """OSError: it is gone."""
        return gzip.open(self.path, "rb") if self.packed else self.path.open("rb", buffering=PIECE)  # type: ignore[return-value]


def name(first: int) -> str:
    return f"{first:016d}{OPEN}"


def segments(dir: Path) -> list[Segment]:
    """The files of a log, oldest first; of one that is just being packed only the packed one."""
    found: dict[int, Segment] = {}
    try:
        names = sorted(os.listdir(dir))
    except OSError:
        return []
    for each in names:  # `.log.gz` comes after `.log`
        number = each.removesuffix(PACKED).removesuffix(OPEN)
        if number != each and number.isdigit():
            found[int(number)] = Segment(int(number), dir / each)
    return [found[number] for number in sorted(found)]


def next_block(file: BinaryIO) -> Block | None:
    """The next block; None at the end, where a block that is only being written counts for nothing."""
    while True:
        at = file.tell()
        head = _head(file)
        if isinstance(head, Head):
            data = _read(file, head.size)
            if len(data) == head.size:
                return Block(head, data)
        if not isinstance(head, Base):
            file.seek(at)
            return None


def heads(file: BinaryIO) -> Iterator[tuple[Head | Base, int]]:
    """All heads, and the place in the file where each begins."""
    while True:
        at = file.tell()
        head = _head(file)
        if head is None:
            file.seek(at)
            return
        try:
            if isinstance(head, Head):
                file.seek(head.size, os.SEEK_CUR)
        except BROKEN:
            return
        yield head, at


BROKEN = (ValueError, EOFError, OSError, zlib.error)
"""What reading a file may end with that a disk has spoiled."""


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except BROKEN as error:
        log.warning("%s cannot be read on: %s", getattr(file, "name", "a log"), error)
        return b""


def _head(file: BinaryIO) -> Head | Base | None:
    try:
        line = file.readline(HEAD_LIMIT)
        if not line.endswith(b"\n"):
            return None
        head = decoded(line[:-1])
    except BROKEN as error:
        log.warning("%s cannot be read on: %s", getattr(file, "name", "a log"), error)
        return None
    return head if isinstance(head, Head | Base) else None


def mended(path: Path) -> tuple[Base, list[Head]] | None:
    """What stands in a file, after what a killed daemon or a lost power left of a block at its end was taken off.

    None: it has no good beginning, and is worth nothing.
    """
    with path.open("r+b") as file:
        base = _head(file)
        if not isinstance(base, Base):
            return None
        found, end = [], file.tell()
        while block := next_block(file):
            if not block.whole():
                break
            found.append(block.head)
            end = file.tell()
        if end < file.seek(0, os.SEEK_END):
            log.warning("%d bytes at the end of %s are no whole lines and are taken off", file.tell() - end, path)
            file.truncate(end)
    return base, found


def pack(segment: Segment) -> None:
    """Put the packed file in its place. OSError: the disk is full or broken; nothing has changed."""
    partial = segment.path.with_suffix(".part")
    try:
        before = segment.path.stat()
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        with segment.path.open("rb") as source, partial.open("wb") as target:
            while piece := source.read(PIECE):
                target.write(packer.compress(piece))
            target.write(packer.flush())
            target.flush()
            os.fsync(target.fileno())  # The other one goes at once.
        os.utime(partial, (before.st_mtime, before.st_mtime))
        os.replace(partial, segment.path.with_suffix(PACKED))
        segment.path.unlink(missing_ok=True)
    except OSError:
        partial.unlink(missing_ok=True)
        raise

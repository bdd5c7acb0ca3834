"""The log of one app on this host: all its jobs', in files that are bounded together.

A block says how far of its job's raw output it has come, and each file begins with how far all jobs have. So the
newest file tells where to go on, wherever the daemon was killed: no line is lost, none comes twice.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from flynn.core import model
from flynn.core.logframe import ENCODER, Base, Block, Head
from flynn.plugins.host.logs import segment
from flynn.plugins.host.logs.segment import OPEN, PACKED, Segment, segments

log = logging.getLogger(__name__)

PARTS = 8
"""Files that the space of a log is divided into, about."""

TOGETHER = 256 * 1024
"""Bytes that are written at once."""

IOV_MAX = 1024
"""Pieces that writev(2) takes at once."""

RECENT = 4 << 20
"""Bytes of the newest blocks that are held for those who follow, at most; who is further behind reads from disk."""


class Piece(NamedTuple):
    """Lines as they were taken in. `out` and `err`: bytes of the job's raw output up to their end."""

    stream: str
    data: bytes
    lines: int
    out: int
    err: int


class AppLog:
    """`limit`: bytes of all files together. Building it reads where the log stands: it blocks, as `append` does.

    `last` is the number of the last line that was written. All else is for the loop alone.
    """

    def __init__(self, dir: Path, app: str, limit: int) -> None:
        self.dir, self.app, self.limit = dir, app, limit
        self.last = 0
        self.taken: dict[str, tuple[int, int]] = {}
        self._newest: Segment | None = None
        self._size = 0
        self._lock = threading.Lock()
        self._mend()
        self.recent: deque[Block] = deque()
        self.recent_size, self._most = 0, RECENT
        self.told = self.last
        self.woken: set[Callable[[], None]] = set()
        """Called when there is something new: those who follow."""

    def append(self, job: model.Job, now: float, pieces: list[Piece]) -> list[Block]:
        """Write them. OSError: the disk is full or broken; `taken` says how far it has come."""
        with self._lock:
            return [block for group in self._groups(pieces) for block in self._append(job, now, group)]

    def _groups(self, pieces: list[Piece]) -> Iterator[list[Piece]]:
        """The pieces, so many together as a file has room for."""
        group: list[Piece] = []
        size = 0
        for piece in pieces:
            if group and size + len(piece.data) > min(self.limit // PARTS, TOGETHER):
                yield group
                group, size = [], 0
            group.append(piece)
            size += len(piece.data)
        if group:
            yield group

    def _append(self, job: model.Job, now: float, pieces: list[Piece]) -> list[Block]:
        blocks, number = [], self.last + 1
        for piece in pieces:
            head = Head(
                number, now, self.app, job.id, job.type, job.release, piece.stream, piece.lines, len(piece.data),
                crc32(piece.data), piece.out, piece.err,
            )  # fmt: skip
            blocks.append(Block(head, piece.data))
            number += piece.lines
        self._write(now, [part for block in blocks for part in (ENCODER.encode(block.head), b"\n", block.data)])
        self.last = number - 1
        self.taken[job.id] = (pieces[-1].out, pieces[-1].err)
        return blocks

    def note(self, now: float, text: str) -> list[Block]:
        """A word of flynn that is about no job. OSError as above."""
        job = model.Job(id="", app=self.app, type="", queue="services", command="", created=now)
        found = self.append(job, now, [Piece("flynn", text.encode() + b"\n", 1, 0, 0)])
        self.forget("")
        return found

    def forget(self, job: str) -> None:
        """The job prints nothing more."""
        self.taken.pop(job, None)

    def publish(self, blocks: list[Block]) -> None:
        """Tell those who follow. On the loop."""
        if blocks[0].head.number != self.told + 1:  # Some were written, but not told of: they are on disk.
            self.recent.clear()
            self.recent_size = 0
        self.told = blocks[-1].next - 1
        if self.woken:
            self.recent.extend(blocks)
            self.recent_size += sum(len(block.data) for block in blocks)
            self.hold(self._most)
        elif self.recent:
            self.recent.clear()
            self.recent_size = 0
        for wake in self.woken:
            wake()

    def hold(self, most: int) -> None:
        """Hold no more than so many bytes of the newest blocks, from now on."""
        self._most = most
        while self.recent_size > most and len(self.recent) > 1:
            self.recent_size -= len(self.recent.popleft().data)

    def after(self, number: int) -> list[Block] | None:
        """The blocks with the lines from `number` on, as far as they are told of; None: the disk has some of them."""
        if number > self.told:
            return []
        if not self.recent or self.recent[0].head.number > number:
            return None
        found = []
        for block in reversed(self.recent):
            if block.next <= number:
                break
            found.append(block)
        first = found[-1].between(number, found[-1].next) if found else None
        return [*([first] if first else []), *reversed(found[:-1])]

    def rotate(self, now: float) -> None:
        """Begin a new file, unless the newest has no lines. OSError as above."""
        with self._lock:
            if self._newest and self.last >= self._newest.first:
                self._begin(now)

    def _write(self, now: float, parts: list[bytes]) -> None:
        size = sum(map(len, parts))
        if self._newest is None or (self._size + size > self.limit // PARTS and self.last >= self._newest.first):
            self._begin(now)
        assert self._newest
        path = self._newest.path
        if not path.exists():  # Somebody removed it.
            self._begin(now)
            path = self._newest.path
        self._size = append(path, parts)

    def _begin(self, now: float) -> None:
        """A new file; the oldest ones go, so that all have room."""
        first = self.last + 1
        path = self.dir / segment.name(first)
        self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        base = ENCODER.encode(Base(first, now, dict(self.taken))) + b"\n"
        try:
            self._size = append(path, [base])
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._newest = Segment(first, path)
        self._make_room()

    def _make_room(self) -> None:
        """With the newest, which will grow to its part, all files keep below the limit."""
        *old, _ = segments(self.dir)
        sizes = [each.size() for each in old]
        while old and sum(sizes) > self.limit - self.limit // PARTS:
            old.pop(0).path.unlink(missing_ok=True)
            sizes.pop(0)

    def _mend(self) -> None:
        for path in self.dir.glob("*") if self.dir.is_dir() else ():
            if path.suffix == ".part" or (path.name.endswith(OPEN) and path.with_suffix(PACKED).exists()):
                path.unlink(missing_ok=True)
        for each in reversed(segments(self.dir)):
            if each.packed:
                return self._go_on_after(each)
            if found := segment.mended(each.path):
                base, heads = found
                self.taken = {**base.taken, **{head.job: (head.out, head.err) for head in heads}}
                self.last = heads[-1].number + heads[-1].lines - 1 if heads else base.number - 1
                self._newest, self._size = each, each.size()
                return None
            log.warning("%s has no good beginning and is removed", each.path)
            each.path.unlink(missing_ok=True)
        return None

    def _go_on_after(self, each: Segment) -> None:
        """The newest file is gone: only its number is to be kept from."""
        with each.open() as file:
            for head, _ in segment.heads(file):
                if isinstance(head, Head):
                    self.taken[head.job] = (head.out, head.err)
                    self.last = head.number + head.lines - 1
                else:
                    self.taken = dict(head.taken)


def append(path: Path, parts: list[bytes]) -> int:
    """Append all of it, or nothing; the size of the file now. OSError: the disk is full or broken."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(file).st_size
        size = sum(map(len, parts))
        try:
            written = os.writev(file, parts[:IOV_MAX])
            if written < size:
                view = memoryview(b"".join(parts))[written:]
                while view:
                    view = view[os.write(file, view) :]
        except OSError:
            os.ftruncate(file, before)
            raise
        return before + size
    finally:
        os.close(file)

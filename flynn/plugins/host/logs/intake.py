"""What a job prints, from the raw files `stdout` and `stderr` that its process writes, into the log of its app.

What was taken in of a raw file is freed. A job that prints faster than that goes on is not waited for: what is too
far behind is dropped, and the log says so.
"""

import errno
import os
from pathlib import Path

from flynn.core import model
from flynn.core.logframe import BLOCK, Block
from flynn.plugins.host.logs.applog import AppLog, Piece
from flynn.plugins.host.logs.lines import Cut, cut, whole_characters
from flynn.plugins.host.logs.sparse import free_start

TURN = 1024 * 1024
"""Bytes of a raw file taken in at once; then the other jobs have their turn."""

FREED = 256 * 1024
"""Bytes of a raw file that are given back at once."""

PARTIAL = 0.5
"""Seconds after which a line without an end is taken for one."""

STREAMS = ("stdout", "stderr")


class Intake:
    """All methods but `grown`, `due` and `is_due` block: call them in a thread, one at a time.

    `raw`: whether there are raw files. `due`: when a line without an end will be taken in (0: there is none).
    """

    def __init__(self, dir: Path, job: model.Job, log: AppLog, raw: bool = True) -> None:
        self.dir, self.job, self.log = dir, job, log
        self.streams = STREAMS if raw else ()
        self.taken = dict(zip(STREAMS, log.taken.get(job.id, (0, 0)), strict=True))
        self._freed = {"stdout": 0, "stderr": 0}
        self._seen = dict(self.taken)
        self._partial: dict[str, tuple[int, float]] = {}

    @property
    def due(self) -> float:
        return min((since + PARTIAL for _, since in self._partial.values()), default=0.0)

    def is_due(self, now: float) -> bool:
        """Whether a line without an end is to be taken in; also where the clock was set back meanwhile."""
        return bool(self._partial) and not now < self.due <= now + PARTIAL

    def grown(self) -> bool:
        """Whether there is something to take in. Quick: it may be asked on the loop."""
        return any(_size(self.dir / stream) != self._seen[stream] for stream in self.streams)

    def take(self, now: float, ended: bool = False) -> list[Block]:
        """The next lines, once they are in the log: a turn's worth at most. `ended`: also a last line without an end.

        OSError: the disk is full or broken; nothing is lost, try again later.
        """
        return [block for stream in self.streams for block in self._take(stream, now, ended)]

    def say(self, now: float, text: str) -> list[Block]:
        """The agent's own word on the job. OSError as above."""
        return self.log.append(self.job, now, [self._said(text, self.taken)])

    def _take(self, stream: str, now: float, ended: bool) -> list[Block]:
        path = self.dir / stream
        size = _size(path)
        if size < self.taken[stream]:  # The process emptied it: a shell does, at `> /dev/stderr`.
            self.taken[stream] = self._freed[stream] = 0
            self._partial.pop(stream, None)
        if size == self.taken[stream]:
            self._seen[stream] = size
            return []
        with path.open("rb", buffering=0) as raw:
            pieces = self._pieces(stream, raw.fileno(), size, now, ended)
        if not pieces:
            return []
        try:
            return self.log.append(self.job, now, pieces)
        except OSError:
            self._seen[stream] = -1
            raise
        finally:
            self.taken = dict(zip(STREAMS, self.log.taken.get(self.job.id, (0, 0)), strict=True))
            self._free(stream)

    def _pieces(self, stream: str, raw: int, size: int, now: float, ended: bool) -> list[Piece]:
        """A turn's worth of lines."""
        at, dropped = self._dropped(stream, raw, size)
        pieces, stop = [self._said(dropped, self._at(stream, at))] if dropped else [], at + TURN
        while at < stop:
            data = os.pread(raw, BLOCK, at)
            last = len(data) < BLOCK
            found = self._cut(stream, data, at, now, ended, last)
            if found.lines:
                at += found.size
                pieces.append(Piece(stream, found.data, found.lines, *self._at(stream, at).values()))
            if last or not found.lines:
                self._seen[stream] = max(size, at)
                break
        return pieces

    def _cut(self, stream: str, data: bytes, at: int, now: float, ended: bool, last: bool) -> Cut:
        """The next lines. What has had no end for a while is one, but for a character that has only begun."""
        found = cut(data, ended and last)
        rest = len(data) - found.size
        if not (last and rest):
            self._partial.pop(stream, None)
            return found
        end, since = self._partial.get(stream, (0, 0.0))
        if end != at + len(data):
            self._partial[stream] = (at + len(data), now)
        elif now >= since + PARTIAL or now < since:
            self._partial.pop(stream)
            flushed = cut(data[: whole_characters(data)], True)
            return flushed if flushed.lines else found
        return found

    def _dropped(self, stream: str, raw: int, size: int) -> tuple[int, str]:
        """Where to go on, and what to say if that is not where it was left: more waits than the log can hold."""
        at, limit = _data(raw, self.taken[stream]), self.log.limit
        if size - at <= limit:
            return at, ""
        to = size - limit // 2
        to += os.pread(raw, BLOCK, to).find(b"\n") + 1
        return to, f"{to - at} bytes of {stream} were dropped: the job prints faster than can be kept"

    def _said(self, text: str, taken: dict[str, int]) -> Piece:
        return Piece("flynn", " ".join(text.split("\n")).encode("utf-8", "replace") + b"\n", 1, *taken.values())

    def _at(self, stream: str, at: int) -> dict[str, int]:
        return {**self.taken, stream: at}

    def _free(self, stream: str) -> None:
        """Give back the space of what was taken in, a piece at a time."""
        if self.taken[stream] - self._freed[stream] >= FREED:
            free_start(self.dir / stream, self.taken[stream])
            self._freed[stream] = self.taken[stream]


def _data(raw: int, at: int) -> int:
    """Where after `at` there is data: what was freed before a log was lost cannot be had again (lseek(2))."""
    if at > 0 or not hasattr(os, "SEEK_DATA"):
        return at
    try:
        return os.lseek(raw, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.EINVAL):
            raise
        return at


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

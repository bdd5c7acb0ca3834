"""What a job prints, from the raw files `stdout` and `stderr` that its process writes, into the log of its app.

What was taken in of a raw file is freed. A job that prints faster than that goes on is not waited for: what is too
far behind is dropped, and the log says so. It may be freed by others too, at any time: what was is seen in the file.
What a client reads as well is freed once both have it, and only its beginning is taken in: who dumps a database to a
file of theirs shall not push all else out of the log.
"""

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from flynn.core import model
from flynn.core.disk import NO_ROOM
from flynn.core.logframe import BLOCK, Block
from flynn.plugins.host.logs.applog import PARTS, AppLog, Piece
from flynn.plugins.host.logs.lines import Cut, cut, whole_characters
from flynn.plugins.host.logs.raw import NOT_WRITTEN, TOO_FAST, Raw
from flynn.plugins.host.logs.sparse import data_after, free_start, waiting

TURN = 1024 * 1024
"""Bytes of a raw file taken in at once; then the other jobs have their turn."""

PARTIAL = 0.5
"""Seconds after which a line without an end is taken for one."""

STREAMS = ("stdout", "stderr")

ATTACHED = 16 * 1024 * 1024
"""Bytes of each stream of a job with a client that are kept at most; less in a small log, of which it is a part."""

UNSAID = 20
"""Words of the agent on a job that wait for a disk with room."""


class Intake:
    """All methods but `grown`, `due` and `is_due` block: call them in a thread, one at a time.

    `given`: how far a client of the job has come, of the streams that it reads. `most`: how much of each is taken in.
    `due`: when a line without an end will be taken in (0: there is none).
    """

    def __init__(self, dir: Path, job: model.Job, log: AppLog, given: Mapping[str, int] | None = None) -> None:
        self.dir, self.job, self.log = dir, job, log
        self.given: Mapping[str, int] = given if given is not None else {}
        self.most = min(ATTACHED, log.limit // PARTS) if job.attached else sys.maxsize
        self.streams = STREAMS if job.logged else ()
        self.raw = {stream: Raw(dir / stream, partial(self._spare, stream)) for stream in STREAMS}
        self._begin = (0, 0) if job.id in log.taken else (_begin(dir / "stdout"), _begin(dir / "stderr"))
        self.taken = self._known()
        self._seen = dict(self.taken)
        self._unsaid: list[tuple[float, str]] = []
        self._partial: dict[str, tuple[int, float]] = {}

    @property
    def due(self) -> float:
        return min((since + PARTIAL for _, since in self._partial.values()), default=0.0)

    def is_due(self, now: float) -> bool:
        """Whether a line without an end is to be taken in; also where the clock was set back meanwhile."""
        return bool(self._partial) and not now < self.due <= now + PARTIAL

    def grown(self) -> bool:
        """Whether there is something to take in. Quick: it may be asked on the loop."""
        return bool(self._unsaid) or any(self._size(stream) != self._seen[stream] for stream in self.streams)

    def waiting(self) -> int:
        """Bytes not taken in yet. Quick as above."""
        return sum(max(self._size(stream) - self.taken[stream], 0) for stream in self.streams)

    def needed(self, stream: str) -> int:
        """Before which byte of a raw file nothing is needed any more, or ever will be. Quick as above."""
        taken = self.taken[stream]
        return taken if stream in self.streams and taken < self.most else sys.maxsize

    def relieve(self) -> None:
        """Free what waits and cannot be kept. It may be called in another thread while something is taken in."""
        for stream in self.streams:
            size = self._size(stream)
            if size - self.taken[stream] > self.log.limit:
                free_start(self.dir / stream, self._spare(stream, size - self.log.limit // 2))

    def take(self, now: float, ended: bool = False) -> list[Block]:
        """The next lines, once they are in the log: a turn's worth at most. `ended`: also a last line without an end.

        OSError: the disk is full or broken; try again later. Nothing is lost but what must make room.
        """
        blocks, failed = [], None
        for stream in self.streams:
            try:
                blocks += self._take(stream, now, ended)
            except OSError as error:
                failed = error
        if failed:
            raise failed
        return [*blocks, *self._say_all()]

    def say(self, now: float, text: str) -> list[Block]:
        """The agent's own word on the job. OSError as above: it waits too."""
        self._unsaid = [*self._unsaid, (now, text)][-UNSAID:]
        return self._say_all()

    def _say_all(self) -> list[Block]:
        blocks = []
        while self._unsaid:
            now, text = self._unsaid[0]
            blocks += self.log.append(self.job, now, [self._said(text, self.taken)])
            self._unsaid.pop(0)
        return blocks

    def _take(self, stream: str, now: float, ended: bool) -> list[Block]:
        raw = self.raw[stream]
        size = self._size(stream)
        if size < self.taken[stream]:  # The process emptied it: a shell does, at `> /dev/stderr`.
            self.taken[stream] = 0
            raw.emptied()
            self._partial.pop(stream, None)
        if size == self.taken[stream]:
            self._seen[stream] = size
            return []
        raw.hold_room(size)
        with raw.path.open("rb", buffering=0) as file:
            pieces = self._pieces(stream, file.fileno(), size, now, ended)
        if not pieces:
            return []
        try:
            blocks = self.log.append(self.job, now, pieces)
            raw.why = TOO_FAST
            if self._known()[stream] >= self.most:
                self._unsaid.append(
                    (now, f"only the first {self.most} bytes of {stream} are kept here, as it has a client")
                )
            return blocks
        except OSError as error:
            self._seen[stream] = -1
            if error.errno in NO_ROOM:
                raw.give_up(size, self._known()[stream])
            else:
                raw.why = NOT_WRITTEN  # What cannot be kept meanwhile is let go.
            raise
        finally:
            self.taken = self._known()
            raw.free(self.taken[stream])

    def _pieces(self, stream: str, raw: int, size: int, now: float, ended: bool) -> list[Piece]:
        """A turn's worth of lines."""
        at = self.taken[stream]
        pieces, stop = [], at + TURN
        while at < stop:
            data = os.pread(raw, min(BLOCK, self.most - at), at)
            if (to := self._next(raw, at, size)) > at:  # What was read may have been freed meanwhile, so it is no good.
                self._partial.pop(stream, None)
                pieces.append(self._said(self.raw[stream].dropped(stream, to - at), self._at(stream, to)))
                at, stop = to, stop + to - at
                continue
            last = len(data) < BLOCK
            over = ended or at + len(data) >= self.most  # No more is waited for, whatever has begun there.
            found = self._cut(stream, data, at, now, over, last)
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
        if not (last and rest) or self.job.terminal:  # Who types there is slower than PARTIAL.
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

    def _next(self, raw: int, at: int, size: int) -> int:
        """Where to go on: not at `at` if that was freed, or if more waits than the log can hold."""
        to = data_after(raw, at) if at < size else at
        if to >= self.most:
            return self.most
        if size - to > self.log.limit:
            to = size - self.log.limit // 2
        return to + os.pread(raw, BLOCK, to).find(b"\n") + 1 if to > at else at

    def _size(self, stream: str) -> int:
        """Bytes printed so far that are to be taken in."""
        return min(self.raw[stream].size(), self.most)

    def _spare(self, stream: str, size: int) -> int:
        """How much of so many bytes at the start of a raw file its client does not need any more either."""
        return min(size, self.given.get(stream, size))

    def _known(self) -> dict[str, int]:
        """How far the log has come. What was given back beyond its part is none of its own."""
        known = self.log.taken.get(self.job.id, self._begin)
        return {stream: min(at, self.most) for stream, at in zip(STREAMS, known, strict=True)}

    def _said(self, text: str, taken: dict[str, int]) -> Piece:
        return Piece("flynn", " ".join(text.split("\n")).encode("utf-8", "replace") + b"\n", 1, *taken.values())

    def _at(self, stream: str, at: int) -> dict[str, int]:
        return {**self.taken, stream: at}


def _begin(path: Path) -> int:
    """Where a log begins that knows nothing of the job: what was freed before it was lost cannot be had again."""
    size, found = waiting(path)
    return size - found

"""The log of one job: what it printed, cut into lines, and what the agent says about it.

The process writes straight to the raw files `stdout` and `stderr`; here they are taken in. A record of the log says
how far of both files it has come, so the last record tells where to go on, wherever the daemon was killed: no line
is lost, none comes twice. Two files, `log` and `log.1`, bound the space; what was taken in of a raw file is freed.
A job that prints faster than that goes on is not waited for: what is too far behind is dropped, and the log says so.
"""

import itertools
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from flynn.plugins.host.lines import cut
from flynn.plugins.host.sparse import free_start

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes taken from a raw file at once."""

TURN_LINES, TURN_CHUNKS = 5_000, 4
"""What is taken in of a raw file in one turn at most; then the other jobs have theirs."""

TAIL = 256 * 1024
"""Bytes at the end of a log among which its last record surely begins."""

RECORD = 80
"""Bytes of a record beside its line, about."""

STREAMS = ("stdout", "stderr")


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record. `number` counts from 1; `out` and `err` are the bytes of the raw files taken in so far."""

    number: int
    time: float
    stream: str
    line: str
    out: int = 0
    err: int = 0


class JobLog:
    """Building it reads where the log stands (blocks for a moment). All methods block: call them in a thread.

    `limit`: bytes for both files of the log together. `raw`: whether the raw files are to be taken in.
    """

    def __init__(self, dir: Path, limit: int, raw: bool = True) -> None:
        self.dir, self.limit, self.raw = dir, limit, raw
        self._lock = threading.Lock()
        last = self._mend()
        self.number = last.number if last else 0
        self.taken = {"stdout": last.out if last else 0, "stderr": last.err if last else 0}
        self._freed = {"stdout": 0, "stderr": 0}
        self._seen = dict(self.taken)

    def grown(self) -> bool:
        """Whether there is something to take in. Quick: it may be asked on the loop."""
        return self.raw and any(_size(self.dir / stream) != self._seen[stream] for stream in STREAMS)

    def take_in(self, now: float, ended: bool = False) -> list[Line]:
        """The next lines, once they are in the log: a turn's worth at most. `ended`: also a last line without an end.

        OSError: the disk is full or broken; nothing is lost, try again later.
        """
        with self._lock:
            return [line for stream in STREAMS if self.raw for line in self._take_stream(stream, now, ended)]

    def say(self, now: float, text: str) -> list[Line]:
        """The agent's own word on the job. OSError as above."""
        with self._lock:
            line = Line(self.number + 1, now, "flynn", text, self.taken["stdout"], self.taken["stderr"])
            self._append([line])
            return [line]

    def _take_stream(self, stream: str, now: float, ended: bool) -> list[Line]:
        path = self.dir / stream
        size = _size(path)
        if size < self.taken[stream]:  # The process emptied it: a shell does, at `> /dev/stderr`.
            self.taken[stream] = self._freed[stream] = 0
        if size == self.taken[stream]:
            self._seen[stream] = size
            return []
        with path.open("rb", buffering=0) as raw:
            taken_in = self._drop(stream, raw.fileno(), size, now)
            for _ in range(TURN_CHUNKS):
                data = os.pread(raw.fileno(), CHUNK, self.taken[stream])
                records = self._records(stream, data, now, ended and len(data) < CHUNK)
                lines = list(itertools.islice(records, TURN_LINES - len(taken_in)))
                if not lines:
                    self._seen[stream] = size
                    break
                self._append(lines)
                taken_in += lines
                if len(taken_in) == TURN_LINES:
                    break
        self._free(stream)
        return taken_in

    def _drop(self, stream: str, raw: int, size: int, now: float) -> list[Line]:
        """Pass over all but the end of what waits in a raw file, if that is more than the log holds."""
        held = self._held(raw, self.taken[stream], size)
        if size - self.taken[stream] <= held:
            return []
        to = size - held // 2
        to += os.pread(raw, CHUNK, to).find(b"\n") + 1
        text = f"{to - self.taken[stream]} bytes of {stream} were dropped: the job prints faster than can be kept"
        taken = {**self.taken, stream: to}
        line = Line(self.number + 1, now, "flynn", text, taken["stdout"], taken["stderr"])
        self._append([line])
        return [line]

    def _held(self, raw: int, at: int, size: int) -> int:
        """Bytes of a raw file that the log can hold, judged by its last lines: a short one makes a long record."""
        if size - at <= CHUNK:
            return self.limit
        sample = os.pread(raw, CHUNK, size - CHUNK)
        line = len(sample) / (sample.count(b"\n") + 1)
        return max(int(self.limit * line / (line + RECORD)), CHUNK)

    def _records(self, stream: str, data: bytes, now: float, ended: bool) -> Iterator[Line]:
        for number, (text, size) in enumerate(cut(data, ended), self.number + 1):
            taken = {**self.taken, stream: self.taken[stream] + size}
            yield Line(number, now, stream, text, taken["stdout"], taken["stderr"])

    def _append(self, lines: list[Line]) -> None:
        for data, last in _batches(lines, min(CHUNK, self.limit // 2)):
            path = self.dir / "log"
            size = _size(path)
            if size and size + len(data) > self.limit // 2:
                os.replace(path, self.dir / "log.1")
            _write(path, data)
            self.number, self.taken = last.number, {"stdout": last.out, "stderr": last.err}

    def _free(self, stream: str) -> None:
        """Give back the space of what was taken in, a piece at a time."""
        if self.taken[stream] - self._freed[stream] >= CHUNK:
            free_start(self.dir / stream, self.taken[stream])
            self._freed[stream] = self.taken[stream]

    def _mend(self) -> Line | None:
        """Take off what a killed daemon wrote by half; the last record."""
        for name in ("log", "log.1"):
            path = self.dir / name
            if _size(path) and (last := _last_record(path)):
                return last
        return None


def _batches(lines: list[Line], limit: int) -> Iterator[tuple[bytes, Line]]:
    """The records as pieces of about `limit` bytes at most, each with its last one."""
    data = b""
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        data += msgspec.json.encode(line) + b"\n"
        if following is None or len(data) + len(following.line) > limit:
            yield data, line
            data = b""


def _write(path: Path, data: bytes) -> None:
    """Append all of it, or nothing."""
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            view = memoryview(data)
            while view:
                view = view[file.write(view) or 0 :]
        except OSError:
            file.truncate(before)
            raise


def _last_record(path: Path) -> Line | None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(size - TAIL, 0)
        file.seek(start)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            file.truncate(start + whole)
        for raw in reversed(tail[:whole].splitlines()):
            try:
                return msgspec.json.decode(raw, type=Line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("a record of %s cannot be read and is passed over", path)
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

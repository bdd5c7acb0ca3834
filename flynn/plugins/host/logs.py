"""The logs of all jobs of this host: one timer takes in what they print, readers get the past and what comes."""

import asyncio
import heapq
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flynn.core import model
from flynn.plugins.host.joblog import JobLog, Line
from flynn.plugins.host.race import whole

log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two looks at what the jobs print."""

BACKLOG = 10_000
"""Lines that wait for a reader who is too slow; the oldest are dropped past it, and the reader is told."""

BLOCK = 64 * 1024


@dataclass(frozen=True)
class Told:
    """A line of a job's log, as the API shows it."""

    app: str
    job: str
    type: str
    line: Line

    def shown(self) -> dict[str, object]:
        line = self.line
        return {
            "kind": "log", "time": line.time, "job": self.job, "type": self.type, "stream": line.stream,
            "line": line.line,
        }  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Which lines a reader asks for; empty fields mean all."""

    app: str = ""
    type: str = ""
    job: str = ""

    def takes(self, app: str, type: str, job: str) -> bool:
        return all(mine in ("", its) for mine, its in ((self.app, app), (self.type, type), (self.job, job)))


@dataclass(eq=False)
class Reader:
    """Someone who follows. `waiting` never holds more than BACKLOG lines."""

    wanted: Wanted
    waiting: deque[Told] = field(default_factory=lambda: deque(maxlen=BACKLOG))
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0

    def give(self, told: Told) -> None:
        self.dropped += len(self.waiting) == BACKLOG
        self.waiting.append(told)
        self.woken.set()


class Logs:
    """All logs below `root` (`root/JOB/log`). `limit`: bytes per job; `clock`: seconds since the epoch."""

    def __init__(self, root: Path, limit: int, clock: Callable[[], float]) -> None:
        self.root, self.limit, self.clock = root, limit, clock
        self._open: dict[str, tuple[model.Job, JobLog]] = {}
        self._readers: set[Reader] = set()
        self._taking = asyncio.Lock()

    async def open(self, job: model.Job) -> None:
        """Begin to take in what the job prints, from where it was left."""
        made = await asyncio.to_thread(JobLog, self.root / job.id, self.limit, not job.attached)
        self._open[job.id] = (job, made)

    async def say(self, job: str, text: str) -> None:
        """The agent's own word on a job."""
        await self._take([job], lambda joblog: joblog.say(self.clock(), text))

    async def finish(self, job: str) -> None:
        """The job's process has ended: take in the rest."""
        while await self._take([job], lambda joblog: joblog.take_in(self.clock(), ended=True)):
            pass

    def close(self, job: str) -> None:
        self._open.pop(job, None)

    async def run(self) -> None:
        """Take in what is new, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.take_in(self._open)

    async def take_in(self, jobs: Iterable[str]) -> None:
        """What these jobs have printed until now, a turn's worth of each at most."""
        if grown := [id for id in jobs if id in self._open and self._open[id][1].grown()]:
            await self._take(grown, lambda joblog: joblog.take_in(self.clock()))

    @contextmanager
    def following(self, wanted: Wanted) -> Iterator[Reader]:
        """New lines from now on, for the length of a block."""
        reader = Reader(wanted)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    async def _take(self, ids: list[str], take: Callable[[JobLog], list[Line]]) -> int:
        """How many lines were taken. One thread for all, one at a time, so that followers see each log in order."""
        async with self._taking:
            found = [self._open[id] for id in ids if id in self._open]
            taken = await whole(asyncio.to_thread(_take_each, found, take))
            for job, lines in taken:
                self._publish(job, lines)
        return sum(len(lines) for _, lines in taken)

    def _publish(self, job: model.Job, lines: list[Line]) -> None:
        for reader in self._readers:
            if reader.wanted.takes(job.app, job.type, job.id):
                for line in lines:
                    reader.give(Told(job.app, job.id, job.type, line))


def _take_each(
    found: list[tuple[model.Job, JobLog]], take: Callable[[JobLog], list[Line]]
) -> list[tuple[model.Job, list[Line]]]:
    taken = []
    for job, joblog in found:
        try:
            taken.append((job, take(joblog)))
        except OSError as error:
            log.warning("the log of %s cannot be written and waits: %s", job.id, error.strerror)
    return taken


def past(root: Path, jobs: list[model.Job], count: int) -> list[Told]:
    """The last `count` lines of these jobs together, oldest first. Blocks: call it in a thread."""
    each = [[Told(job.app, job.id, job.type, line) for line in tail(root / job.id, count)] for job in jobs]
    merged = heapq.merge(*each, key=lambda told: told.line.time)
    return list(deque(merged, maxlen=count))


def tail(dir: Path, count: int) -> list[Line]:
    """The last `count` records of one job's log."""
    found: list[Line] = []
    for name in ("log", "log.1"):
        if len(found) < count:
            found = _tail_of(dir / name, count - len(found)) + found
    return found


def _tail_of(path: Path, count: int) -> list[Line]:
    data = b""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at > 0 and data.count(b"\n") <= count:
                size = min(BLOCK, at)
                at -= size
                file.seek(at)
                data = file.read(size) + data
    except OSError:
        return []
    whole = data[data.find(b"\n") + 1 :] if at > 0 else data
    return [line for raw in whole[: whole.rfind(b"\n") + 1].splitlines()[-count:] if (line := _decoded(raw))]


def _decoded(raw: bytes) -> Line | None:
    try:
        return msgspec.json.decode(raw, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

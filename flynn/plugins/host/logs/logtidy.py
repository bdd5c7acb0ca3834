"""Keeping the logs of a host within their bounds: old files are packed, older ones go."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.segment import Segment, pack, segments

log = logging.getLogger(__name__)

INTERVAL = 20.0
"""Seconds between two looks at the files."""

DAY = 86400.0

CATCHING_UP = 24
"""Seconds that count for one that passes, where the clock is ahead of what was known: it may have been set, by mistake
and not for long."""


@dataclass(frozen=True)
class File:
    """A file of a log. `at`: when it was last written to; `begun`: since when; `newest`: it is still written to."""

    app: str
    segment: Segment
    size: int
    at: float
    newest: bool = False


@dataclass(frozen=True)
class Bounds:
    """`size`: bytes of all logs of the host; `age`: seconds after which a line may go."""

    size: int
    age: float


def surplus(files: Iterable[File], bounds: Bounds, now: float) -> list[File]:
    """The files to remove: those that are too old, then the oldest of all until the rest is within bounds. Pure."""
    ordered = sorted(files, key=lambda file: (file.at, file.segment.first))
    left = sum(file.size for file in ordered)
    found = []
    for file in ordered:
        too_old = file.at < now - bounds.age
        if too_old or (left > bounds.size and not file.newest):
            found.append(file)
            left -= file.size
    return found


@dataclass(frozen=True)
class Age:
    """By which lines are too old: `time`, since the epoch, was right at `steady`, on a clock that nobody sets."""

    time: float
    steady: float

    def after(self, clock: float, steady: float) -> "Age":
        """The same later. It follows the clock, though not at once when that is set ahead. Pure."""
        return Age(min(clock, self.time + CATCHING_UP * (steady - self.steady)), steady)


def first_age(files: Iterable[File], clock: float, steady: float) -> Age:
    """What is taken for right at first: the newest line, if the clock is ahead of it. Pure."""
    return Age(min(clock, max((file.at for file in files), default=clock)), steady)


class Tidy:
    """`run` for ever beside the logs."""

    def __init__(self, logs: Logs, bounds: Bounds) -> None:
        self.logs, self.bounds = logs, bounds
        self._begun: dict[str, float] = {}
        self._age: Age | None = None

    async def run(self) -> None:
        while True:
            try:
                await self.once()
            except OSError as error:
                log.warning("the logs cannot be tidied now: %s", error)
            await asyncio.sleep(INTERVAL)

    async def once(self) -> None:
        """One look. OSError: the disk is full or broken."""
        now = self.logs.clock()
        files = await asyncio.to_thread(found, self.logs.dir)
        age = self._aged(files, now)
        for file in files:
            if file.newest and self._is_old(file, now):
                await self.logs.rotate(file.app)
        gone = [f for f in surplus(files, self.bounds, age) if not (f.newest and self.logs.jobs_open(f.app))]
        for file in gone:
            await asyncio.to_thread(file.segment.path.unlink, True)
        for file in set(files) - set(gone):
            if not (file.newest or file.segment.packed):
                with contextlib.suppress(FileNotFoundError):  # It went meanwhile, as the log's size is bounded too.
                    await asyncio.to_thread(pack, file.segment)

    def _aged(self, files: Iterable[File], now: float) -> float:
        steady = time.monotonic()
        self._age = self._age.after(now, steady) if self._age else first_age(files, now, steady)
        return self._age.time

    def _is_old(self, file: File, now: float) -> bool:
        """Whether the file has been written to for a day, or for as long as lines are kept: then another shall be."""
        key = str(file.segment.path)
        if key not in self._begun:
            self._begun = {each: at for each, at in self._begun.items() if Path(each).exists()} | {key: now}
        return now - self._begun[key] > min(DAY, self.bounds.age)


def found(dir: Path) -> list[File]:
    """All files of all logs. Blocks."""
    files = []
    for each in sorted(dir.iterdir()) if dir.is_dir() else ():
        there = segments(each)
        for segment in there:
            try:
                stat = segment.path.stat()
            except OSError:
                continue
            files.append(File(unquote(each.name), segment, stat.st_size, stat.st_mtime, segment == there[-1]))
    return files

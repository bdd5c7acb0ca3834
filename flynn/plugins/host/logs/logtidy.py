"""Keeping the logs of a host within their bounds: old files are packed, older ones go."""

import asyncio
import contextlib
import logging
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


class Tidy:
    """`run` for ever beside the logs."""

    def __init__(self, logs: Logs, bounds: Bounds) -> None:
        self.logs, self.bounds = logs, bounds
        self._begun: dict[str, float] = {}

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
        for file in files:
            if file.newest and self._is_old(file, now):
                await self.logs.rotate(file.app)
        gone = [f for f in surplus(files, self.bounds, now) if not (f.newest and self.logs.jobs_open(f.app))]
        for file in gone:
            await asyncio.to_thread(file.segment.path.unlink, True)
        for file in set(files) - set(gone):
            if not (file.newest or file.segment.packed):
                with contextlib.suppress(FileNotFoundError):  # It went meanwhile, as the log's size is bounded too.
                    await asyncio.to_thread(pack, file.segment)

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

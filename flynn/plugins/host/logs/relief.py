"""Relief for the disk while jobs flood it: what waits in their raw files and cannot be kept is freed, whoever is busy.

Taking in goes in turns, and a job may print gigabytes until it has its next one.
"""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from flynn.core.threads import begun
from flynn.plugins.host.logs.intake import STREAMS, Intake
from flynn.plugins.host.logs.sparse import free_start, waiting
from flynn.plugins.host.race import in_thread

PART = 4
"""A job that is behind by this part of what its log can hold is watched."""

PAUSE, ROUND = 0.01, 0.2
"""Seconds between two looks at those, and for which a thread looks by itself: the loop may be late."""


class Relief:
    """`run` for ever beside the logs, which call `look`."""

    def __init__(self) -> None:
        self.thread = begun(1, "log relief")
        self._behind: set[Intake] = set()
        self._wake = asyncio.Event()

    def look(self, intake: Intake) -> None:
        """Watch the job if it is far behind. Quick: for the loop."""
        if is_behind(intake):
            self._behind.add(intake)
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._behind:
                await in_thread(self.thread, _relieve, tuple(self._behind))
                self._behind = {intake for intake in self._behind if is_behind(intake)}


def is_behind(intake: Intake) -> bool:
    return intake.waiting() > intake.log.limit // PART


def _relieve(intakes: Iterable[Intake]) -> None:
    until = time.monotonic() + ROUND
    while time.monotonic() < until:
        for intake in intakes:
            intake.relieve()
        time.sleep(PAUSE)


def relieve_all(jobs: Path, limit: int) -> None:
    """Free what no log could hold of what the jobs have printed while no daemon was there. Blocks."""
    for path in (dir / stream for dir in jobs.glob("*") for stream in STREAMS):
        size, left = waiting(path)
        if left > limit:
            free_start(path, size - limit // 2)

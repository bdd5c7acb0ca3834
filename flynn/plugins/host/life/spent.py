"""A job that has a limit of disk: what it has written is measured, and it ends when that is too much.

To measure is to look at each file, so it is done only when the disk has less room than before by as much as the job
may still write, and now and then, as others may have made room meanwhile.
"""

import asyncio
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core.disk import room
from flynn.core.room import MIB, Room, words
from flynn.plugins.host.life.unlinked import held, places_of
from flynn.plugins.host.trees import walk

if TYPE_CHECKING:
    from flynn.plugins.host.life.standing import Standing

LOOK = 0.25
"""Seconds between two looks at what the disk has left."""

AGAIN = 20.0
"""Seconds after which it is measured again in any case."""

FILES = 1_000_000
"""Files and directories that such a job may make."""


@dataclass(frozen=True)
class Spent:
    """What was measured: bytes and files, and what the disk had left then."""

    size: int
    files: int
    left: Room

    def is_surely_within(self, limit: int, left: Room) -> bool:
        """Whether what the disk has left now says that the job cannot have gone over its limits."""
        bytes_, files = self.left.free - left.free, self.left.free_files - left.free_files
        return self.size + bytes_ <= limit and self.files + files <= FILES

    def excess(self, limit: int) -> str:
        """What is too much, in words; empty: nothing."""
        if self.size > limit:
            return f"out of disk: limit {words(limit)}"
        return f"out of disk: limit {FILES} files" if self.files > FILES else ""


async def over(standing: "Standing") -> str:
    """Why a job is to end that has a limit of disk, once there is a reason."""
    limit, host = standing.job.disk * MIB, standing.state.host
    if not limit:
        await asyncio.Event().wait()
    places = [standing.dir, *([standing.cache] if standing.cache else [])]
    spent, due = Spent(0, 0, await asyncio.to_thread(room, standing.dir)), 0.0
    while True:
        await asyncio.sleep(LOOK)
        left, now = await asyncio.to_thread(room, standing.dir), standing.ground.steady()
        if left.free < standing.ground.disk.leave:
            return f"out of disk: the disk of {host} is nearly full ({words(left.free)} free)"
        if spent.is_surely_within(limit, left) and now < due:
            continue
        spent, due = await asyncio.to_thread(_all, standing, places, limit, left), now + AGAIN
        if excess := spent.excess(limit):
            return excess


def _all(standing: "Standing", places: Collection[Path], limit: int, left: Room) -> Spent:
    """What is in these trees, and what the job has deleted there and holds open. Blocks."""
    process = standing.kept.process
    pid = (process and process.pid) or standing.state.pid  # Who stands for a container is no process.
    unlinked = held(pid, places_of(standing.job, places)) if pid else 0
    return measure(places, limit, left, unlinked)


def measure(places: Iterable[Path], limit: int, left: Room, held: int = 0) -> Spent:
    """What is in these trees, and the bytes that are `held` beside; not all of it where that is too much already.
    Blocks."""
    size, files = held, 0
    for place in places:
        for folder, names in walk(place):
            files += 1 + len(names)
            size += sum(_size(os.path.join(folder, name)) for name in names)
            if size > limit or files > FILES:
                break
    return Spent(size, files, left)


def _size(path: str) -> int:
    """Bytes of disk."""
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0

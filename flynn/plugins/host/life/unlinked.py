"""Files that a job has deleted and holds open, or mapped into memory: they take disk, and no directory tells of them
(proc_pid_fd(5), proc_pid_map_files(5))."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

from flynn.core.model import Job
from flynn.plugins.host.usage.processes import PROC, children, scan, tree

DELETED = " (deleted)"


def places_of(job: Job, places: Collection[Path]) -> tuple[str, ...]:
    """Where files of a job lie that are on disk, as a process of it names them. `places`: as this machine does."""
    return (*(f"/{name}/" for name in ("app", "out", "cache", *job.layers)), *(f"{place}/" for place in places))


def held(root: int, places: tuple[str, ...], proc: str = PROC) -> int:
    """Bytes of disk of such files below `places`, of a process and all that descend from it. Blocks.

    One that is mapped into memory, and closed, is only seen by root (by who has CAP_CHECKPOINT_RESTORE).
    """
    seen: dict[tuple[int, int], int] = {}
    processes = scan(proc)
    for pid in tree(root, processes, children(processes)):
        for link in (*_links(f"{proc}/{pid}/fd"), *_links(f"{proc}/{pid}/map_files")):
            if status := _deleted(link, places):
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def _links(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:  # The process has ended, or is not to be looked into.
        return []


def _deleted(link: str, places: tuple[str, ...]) -> os.stat_result | None:
    try:
        path = os.readlink(link)
        if not path.endswith(DELETED) or not path.startswith(places):
            return None
        status = os.stat(link)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) and status.st_nlink == 0 else None

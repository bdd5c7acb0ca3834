"""Whether the kernel has ended processes of this machine for memory: one look for all jobs (proc(5), /proc/vmstat)."""

from pathlib import Path

HOLDS = 1.0
"""Seconds for which a look holds."""


class HostKills:
    """`path`: the file where the kernel counts, since Linux 4.13 also what was over the limit of its cgroup."""

    def __init__(self, path: Path = Path("/proc/vmstat")) -> None:
        self.path = path
        self._count: int | None = None
        self._until = 0.0

    def count(self, now: float) -> int | None:
        """How many were ended since the machine began; None: nobody knows. `now`: seconds on a clock that nobody sets.

        Takes a few microseconds: it may be asked on the loop.
        """
        if now >= self._until:
            self._count, self._until = _counted(self.path), now + HOLDS
        return self._count


def _counted(path: Path) -> int | None:
    try:
        _, found, rest = path.read_bytes().partition(b"\noom_kill ")
        return int(rest.split(b"\n", 1)[0]) if found else None
    except (OSError, ValueError):
        return None

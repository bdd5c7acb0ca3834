"""Whether this daemon, and its machine, can open enough files for another job."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from flynn.core import files

RESERVE, RESERVE_PART = 256, 8
"""Files that stay unopened for what jobs and their clients need; where there can be few, this part of all."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Count:
    """Files that are open, and how many may be (0: any number)."""

    open: int
    most: int

    def is_low(self, parts: int = 4) -> bool:
        """Whether less than so many quarters of the reserve are left."""
        reserve = max(min(RESERVE, self.most // RESERVE_PART), 1)
        return self.most > 0 and self.most - self.open < reserve * parts // 4


def seen(proc: Path = PROC) -> tuple[Count, Count]:
    """Those of this daemon and of the machine, as far as the system tells. Blocks where it counts them one by one."""
    return Count(_open(proc), files.limit() or 0), _of_machine(proc)


def trouble(seen: tuple[Count, Count], before: str) -> str:
    """Why no new job may start, in words that stay while it lasts; empty: one may. `before`: what this said last."""
    own, machine = seen
    low = own if own.is_low(5 if before else 4) else machine if machine.is_low(5 if before else 4) else None
    if low is None or before:
        return before if low else ""
    whose = "its daemon has" if low is own else "it has"
    return f"{whose} nearly all files open that it may ({low.open} of {low.most})"


def _open(proc: Path) -> int:
    """Linux tells it as the size of the directory (since 6.2)."""
    try:
        return (proc / "self/fd").stat().st_size or len(os.listdir(proc / "self/fd"))
    except FileNotFoundError:  # No such system.
        return 0
    except OSError:  # Not one more can be opened, to look.
        return files.limit() or 0


def _of_machine(proc: Path) -> Count:
    """/proc/sys/fs/file-nr (proc(5)): handles that are allocated, that are free, and how many there may be."""
    try:
        allocated, free, most = map(int, (proc / "sys/fs/file-nr").read_text().split())
        return Count(allocated - free, most)
    except OSError as error:
        return Count(1, 1) if error.errno == errno.ENFILE else Count(0, 0)
    except ValueError:
        return Count(0, 0)

"""Whether this daemon, and its machine, can open enough files for another job."""

import errno
import os
from pathlib import Path

from flynn.core import files
from flynn.plugins.host.usage.count import PROC, Count


def seen(proc: Path = PROC) -> tuple[Count, Count]:
    """Those of this daemon and of the machine, as far as the system tells. Blocks where it counts them one by one."""
    return Count(_open(proc), files.limit() or 0), _of_machine(proc)


def trouble(seen: tuple[Count, Count], before: str) -> str:
    """Why no new job may start, in words that stay while it lasts; empty: one may. `before`: what this said last."""
    own, machine = seen
    low = own if own.is_low(before) else machine if machine.is_low(before) else None
    if low is None or before:
        return before if low else ""
    whose = "its daemon has" if low is own else "it has"
    return f"{whose} nearly all files open that it may ({low.used} of {low.most})"


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

"""What daemons that never come back have left of control groups: their data directory is gone, so nobody knows of it.

Each daemon marks its directory of groups with where its data is. That of another is only touched when those data are
gone, as seen from the same root directory, and then only what is empty goes: nothing that runs is ended.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "user.flynn.data"

WITHIN = 2.0
"""Seconds that the removal may take; the next daemon goes on."""

OURS = re.compile(r"flynn-[0-9a-f]{8}")


def mark(top: Path, data: Path) -> None:
    """Say whose directory of groups it is. A kernel that keeps no such marks (before Linux 5.7) does without."""
    with contextlib.suppress(OSError):
        os.setxattr(top, MARK, _seen_from() + os.fsencode(data.resolve()))


def clear(parents: Iterable[Path], within: float = WITHIN) -> int:
    """Remove the groups of daemons whose data are gone, of those below these directories; how many. Blocks."""
    until, count = time.monotonic() + within, 0
    for parent in parents:
        for top in sorted(path for path in parent.glob("flynn-*") if OURS.fullmatch(path.name)):
            if _is_gone(top):
                for folder, _, _ in os.walk(top, topdown=False):
                    if time.monotonic() >= until:
                        return count
                    with contextlib.suppress(OSError):  # Something runs in it.
                        os.rmdir(folder)
                        count += 1
    return count


def _is_gone(top: Path) -> bool:
    """Whether the data of the daemon whose directory this is are surely no more."""
    try:
        told = os.getxattr(top, MARK)
    except OSError:
        return False
    seen = _seen_from()
    if not told.startswith(seen):
        return False
    try:
        os.lstat(told.removeprefix(seen))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # Of a disk that fails, or what this user may not look at, nobody can tell.
        return False
    return False


def _seen_from() -> bytes:
    """The root directory: another one (in a container) has other files at the same paths."""
    root = os.stat("/")
    return b"%d:%d:" % (root.st_dev, root.st_ino)

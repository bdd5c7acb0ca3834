"""What a disk has room for (statvfs(3)), and what the kernel says when it is full."""

import errno
import os
from pathlib import Path

from flynn.core.room import Room

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk, or somebody's share of it, is full: of bytes or of files."""


def room(path: Path) -> Room:
    """Of the file system that `path` is on. OSError: it is not there, or broken."""
    found = os.statvfs(path)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files)

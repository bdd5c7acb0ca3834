"""A piece of disk that is kept for the start of a daemon: one that was killed while the disk was full can begin."""

import contextlib
import os
from pathlib import Path

from flynn.core.disk import room
from flynn.core.room import MIB

SIZE = 8 * MIB
"""Enough for what a daemon writes until it has made room (the store's log above all)."""

PLENTY = 16 * SIZE
"""Only of a disk with so much room is anything kept."""


def begin(data: Path) -> None:
    """Take the room that was kept in `data` if the disk is full, else keep it for another time. Blocks for a moment."""
    spare = data / "spare"
    with contextlib.suppress(OSError):
        free = room(data).free
        if free < SIZE:
            spare.unlink(missing_ok=True)
        elif free > PLENTY and not spare.exists():
            _make(spare)


def _make(spare: Path) -> None:
    file = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, SIZE)
    finally:
        os.close(file)

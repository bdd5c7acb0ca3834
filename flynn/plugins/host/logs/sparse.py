"""Giving back the disk space at the start of a file that is still appended to: fallocate(2), FALLOC_FL_PUNCH_HOLE.

What was given back is told from what is there by lseek(2), SEEK_DATA: so whoever reads the file sees what it lacks,
whoever it was that gave it back, a daemon of before among them.
"""

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

KEEP_SIZE, PUNCH_HOLE = 0x01, 0x02
BLOCK = 4096


def free_start(path: Path, size: int) -> bool:
    """Free the blocks that lie whole in the first `size` bytes; they read as zeros. False: not possible here."""
    return _call(path, KEEP_SIZE | PUNCH_HOLE, 0, size - size % BLOCK)


def hold_room(path: Path, at: int, size: int) -> bool:
    """Let what is appended from `at` on find these bytes free, also when the disk is full. False: not possible here."""
    return _call(path, KEEP_SIZE, at, size)


def _call(path: Path, mode: int, at: int, size: int) -> bool:
    fallocate = _fallocate()
    if fallocate is None or size <= 0:
        return False
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(fallocate(file, mode, at, size) == 0)
    finally:
        os.close(file)


def data_after(file: int, at: int) -> int:
    """The first place from `at` on where there is data, or the file's end if all that follows was given back."""
    if not hasattr(os, "SEEK_DATA"):
        return at
    try:
        return os.lseek(file, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return at
        if error.errno != errno.ENXIO:
            raise
        return max(os.fstat(file).st_size, at)


def waiting(path: Path) -> tuple[int, int]:
    """The file's size, and how many bytes of it were not given back; 0 if it is not there."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        size = os.fstat(file).st_size
        return size, max(size - data_after(file, 0), 0)
    except OSError:
        return 0, 0
    finally:
        os.close(file)


@cache
def _fallocate() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return function

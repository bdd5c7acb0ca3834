"""Giving back the disk space at the start of a file that is still appended to: fallocate(2), FALLOC_FL_PUNCH_HOLE."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

KEEP_SIZE, PUNCH_HOLE = 0x01, 0x02
BLOCK = 4096


def free_start(path: Path, size: int) -> bool:
    """Free the blocks that lie whole in the first `size` bytes; they read as zeros. False: not possible here."""
    fallocate = _fallocate()
    size -= size % BLOCK
    if fallocate is None or size == 0:
        return False
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(fallocate(file, KEEP_SIZE | PUNCH_HOLE, 0, size) == 0)
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

"""Hearing at once that a file was written to: inotify(7). Where it is missing nothing is heard; look now and then."""

import ctypes
import os
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

MODIFY, OVERFLOW = 0x2, 0x4000
FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
EVENT = struct.Struct("iIII")
BUFFER = 64 * 1024


class Inotify:
    """Watches directories by name. `file` is readable when something was heard (-1: not possible here)."""

    def __init__(self) -> None:
        self.file = -1
        self._names: dict[int, str] = {}

    def open(self) -> None:
        if (system := _system()) is not None:
            self.file = system.inotify_init1(FLAGS)

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
            self._names.clear()

    def add(self, name: str, dir: Path) -> bool:
        """Watch the files in `dir`; whether that is possible."""
        if self.file < 0:
            return False
        watch = _system().inotify_add_watch(self.file, os.fsencode(dir), MODIFY)
        if watch >= 0:
            self._names[watch] = name
        return bool(watch >= 0)

    def remove(self, name: str) -> None:
        for watch in [watch for watch, known in self._names.items() if known == name]:
            del self._names[watch]
            _system().inotify_rm_watch(self.file, watch)

    def heard(self) -> set[str] | None:
        """The names of directories with a file that was written to since the last time; None: any may be."""
        found: set[str] = set()
        while self.file >= 0:
            try:
                data = os.read(self.file, BUFFER)
            except BlockingIOError:
                break
            at = 0
            while at < len(data):
                watch, mask, _, size = EVENT.unpack_from(data, at)
                at += EVENT.size + size
                if mask & OVERFLOW:
                    return None
                if mask & MODIFY and (name := self._names.get(watch)):
                    found.add(name)
        return found


@cache
def _system() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "inotify_init1") else None

"""A file of lines within a bound: past it the file is renamed to `NAME.1`, over the one before, and begun anew."""

import os
import stat

LIMIT = 64 * 1024 * 1024
"""Bytes of a file; there are two at most."""

MODE = 0o640

NOT_OURS = ("/dev/", "/proc/")
"""Where nothing is renamed: what `/dev/stdout` leads to is somebody else's to keep within bounds."""


class LogFile:
    """Opened by the first write, and again when someone has moved it away (logrotate). `-` is standard output.

    Its methods may wait for a disk, or for whoever reads a pipe: they are for a thread. Two processes may write one
    file for a while, as when a daemon takes over from another.
    """

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self.path = path
        self.limit = limit
        self._ours = path != "-" and not path.startswith(NOT_OURS)
        self._file = -1
        self._cut = False

    def write(self, data: bytes) -> None:
        """Add whole lines in one write. OSError: they are not in it, or in a pipe not all of them."""
        file = self._ready(len(data))
        state = os.fstat(file)
        if self._cut:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError:
            if written and stat.S_ISREG(state.st_mode):
                os.ftruncate(file, state.st_size)
            elif written:
                self._cut = True
            raise
        self._cut = False

    def open(self) -> None:
        """Have it open. OSError: it cannot be."""
        if self._file < 0:
            # A pipe without a reader, or with a slow one, is an error and no wait.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._file = os.dup(1) if self.path == "-" else os.open(self.path, flags, MODE)

    def close(self) -> None:
        """Have it closed."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def _ready(self, more: int) -> int:
        """The open file, with room for `more` bytes."""
        if self._file >= 0 and self._moved():
            self.close()
        self.open()
        state = os.fstat(self._file)
        if self._ours and stat.S_ISREG(state.st_mode) and state.st_size and state.st_size + more > self.limit:
            path = os.path.realpath(self.path)  # A link stays, and leads to the new file.
            os.rename(path, f"{path}.1")
            self.close()
            self.open()
        return self._file

    def _moved(self) -> bool:
        if self.path == "-":
            return False
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(self._file))

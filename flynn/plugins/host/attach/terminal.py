"""The standard streams of a command that has a terminal: one pty for all three, whose master is the agent's."""

import contextlib
import fcntl
import os
import struct
import termios

from flynn.plugins.host.attach.pipes import Pipes

END_OF_INPUT = b"\4"
"""What a terminal that is not raw takes for the end of input (termios(3), VEOF)."""

MOST = 4096
"""Rows or columns that a terminal may have."""


class Terminal(Pipes):
    """As Pipes; `size` is (rows, columns)."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._size = size

    def __enter__(self) -> "Terminal":
        self.stdin, slave = os.openpty()
        self._open |= {self.stdin, slave}
        self.given = (slave, slave, slave)
        self.sources = {1: self.stdin}
        os.set_blocking(self.stdin, False)
        self.resize(self._size)
        return self

    def close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self.stdin, END_OF_INPUT)

    def resize(self, size: tuple[int, int]) -> None:
        """The kernel tells the processes in the foreground (SIGWINCH)."""
        rows, columns = (max(0, min(MOST, number)) for number in size)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.stdin, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def size_of(file: int) -> tuple[int, int]:
    """Rows and columns of a terminal."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(file, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns

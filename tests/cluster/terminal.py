"""The command line in a terminal of its own, as a person has it."""

import asyncio
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
from typing import Any

from tests.cluster.grid import Grid

LIMIT = 20.0


class Terminal:
    """`flynn WORDS...` on a pty of 30 rows and 90 columns, for the length of a block."""

    def __init__(self, grid: Grid, *words: str) -> None:
        self._near, self._far = os.openpty()
        self.resize(30, 90)
        self._text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flynn", *words], env={**grid.environ, "TERM": "vt100"}, start_new_session=True,
            stdin=self._far, stdout=self._far, stderr=self._far, preexec_fn=_own_terminal,
        )  # fmt: skip

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._near)
        os.close(self._far)

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._far)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._near, text.encode())

    async def shown(self, *texts: str) -> None:
        """Wait until one of these has been shown after what was waited for before."""
        await asyncio.to_thread(self._read_until, texts)

    async def ended(self) -> int:
        """The exit code."""
        return await asyncio.to_thread(self.process.wait, LIMIT)

    def _read_until(self, texts: tuple[str, ...]) -> None:
        while not (found := [at + len(text) for text in texts if (at := self._text.find(text)) >= 0]):
            if not select.select([self._near], [], [], LIMIT)[0]:
                raise AssertionError(f"none of {texts} was shown, but {self._text!r}")
            self._text += os.read(self._near, 65536).decode(errors="replace")
        self._text = self._text[min(found) :]


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)

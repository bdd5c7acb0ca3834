"""The standard streams of a command that is run beside a job: pipes, whose near ends are the agent's."""

import asyncio
import contextlib
import os
from types import TracebackType

CHUNK = 64 * 1024


class Pipes:
    """`given`: the command's standard input, output and errors. Near ends do not block. All are closed at the end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._open: set[int] = set()

    def __enter__(self) -> "Pipes":
        stdin, self.stdin = self._pipe()
        self.stdout, stdout = self._pipe()
        self.stderr, stderr = self._pipe()
        self.given = (stdin, stdout, stderr)
        for file in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(file, False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._open:
            os.close(self._open.pop())

    @property
    def sources(self) -> dict[int, int]:
        """Where its output is read, by its descriptor."""
        return {1: self.stdout, 2: self.stderr}

    def close_stdin(self) -> None:
        """The command sees the end of its input."""
        self._close(self.stdin)
        self.stdin = -1

    def end(self) -> None:
        """The command has ended: nothing is written any more, but by what it left behind."""
        for file in self.given:
            self._close(file)
        self.ended.set()

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open |= set(ends)
        return ends

    def _close(self, file: int) -> None:
        with contextlib.suppress(KeyError):
            self._open.remove(file)
            os.close(file)

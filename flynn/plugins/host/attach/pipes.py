"""The standard streams of a command that is run beside a job: pipes, whose near ends are the agent's."""

import asyncio
import contextlib
import os
from types import TracebackType

CHUNK = 64 * 1024


class Pipes:
    """`given`: the command's standard input, output and errors. `stdin`: where its input is written; `sources`: where
    its output is read, by its descriptor. These near ends do not block. All are closed at the end.
    """

    given: tuple[int, int, int]
    stdin: int
    sources: dict[int, int]

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._open: set[int] = set()

    def __enter__(self) -> "Pipes":
        stdin, self.stdin = self._pipe()
        out, stdout = self._pipe()
        err, stderr = self._pipe()
        self.given = (stdin, stdout, stderr)
        self.sources = {1: out, 2: err}
        for file in (self.stdin, out, err):
            os.set_blocking(file, False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._open:
            os.close(self._open.pop())

    def close_stdin(self) -> None:
        """The command sees the end of its input."""
        self._close(self.stdin)
        self.stdin = -1

    def resize(self, size: tuple[int, int]) -> None:
        """Pipes have no size."""

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

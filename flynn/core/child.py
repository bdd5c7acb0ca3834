"""A program that is run, begun without a copy of this process.

`asyncio.create_subprocess_exec` forks under uvloop, which takes the longer the larger the daemon is, and holds up the
loop meanwhile. `subprocess` has vfork(2) instead: a fifth of that.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from flynn.core.pipe import read_pipe, write_pipe

LIMIT = 64 * 1024
"""Bytes of what a program prints that are held for its reader, about, before it has to wait."""

TERM = 3.0
"""Seconds that a program has to tidy up once it is told to end."""


class Child:
    """A process that leads a session of its own. `stdin` is there for one that is asked something; `stdout` and
    `stderr` have what it prints, where that goes into pipes."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen, self._loop = popen, asyncio.get_running_loop()
        self._files: list[IO[bytes]] = [file for file in (popen.stdin, popen.stdout, popen.stderr) if file]
        self._pipes: list[asyncio.BaseTransport] = []
        self._code: asyncio.Future[int] = self._loop.create_future()
        self.pid = popen.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout, self.stderr = asyncio.StreamReader(LIMIT), asyncio.StreamReader(LIMIT)

    @property
    def returncode(self) -> int | None:
        """Its exit code, or below 0 the signal that ended it; None: it goes on, as far as is known."""
        return self._code.result() if self._code.done() else None

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self._code)

    async def output(self) -> tuple[bytes, bytes]:
        """All that it prints to standard output and standard error, once it has ended."""
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return out, err

    async def end(self) -> None:
        """Have it end with all that it began. It is asked nicely first: it may have something to tidy up. Who is
        cancelled waits no longer, and it is killed."""
        try:
            for number, limit in ((signal.SIGTERM, TERM), (signal.SIGKILL, None)):
                if self.returncode is None:
                    self._signal(number)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(limit):
                            await self.wait()
        finally:
            self._signal(signal.SIGKILL)  # What it began, if it is still there.

    def kill(self) -> None:
        """End it at once, with all of its group."""
        self._signal(signal.SIGKILL)

    async def open(self) -> None:
        """Watch for its end, and open the pipes that there are."""
        self._watch()
        for file, reader in ((self._popen.stdout, self.stdout), (self._popen.stderr, self.stderr)):
            if file is not None:
                self._pipes.append(await read_pipe(self._handed(file), asyncio.StreamReaderProtocol(reader)))
        if file := self._popen.stdin:
            writing = asyncio.StreamReaderProtocol(asyncio.StreamReader())
            pipe = await write_pipe(self._handed(file), writing)
            self._pipes.append(pipe)
            self.stdin = asyncio.StreamWriter(pipe, writing, None, self._loop)

    def close(self) -> None:
        """Close the pipes, whatever is still in them."""
        for pipe in self._pipes:
            pipe.close()
        for file in self._files:  # Those that no pipe has.
            file.close()

    def _handed(self, file: IO[bytes]) -> int:
        """The same file as a descriptor that somebody else closes."""
        handed = os.dup(file.fileno())
        self._files.remove(file)
        file.close()
        return handed

    def _watch(self) -> None:
        try:
            handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # Before Linux 5.3.
            self._loop.run_in_executor(None, self._popen.wait).add_done_callback(lambda _: self._note())
            return
        self._loop.add_reader(handle, self._ended, handle)

    def _ended(self, handle: int) -> None:
        if self._popen.poll() is not None:
            self._loop.remove_reader(handle)
            os.close(handle)
            self._note()

    def _note(self) -> None:
        self._code.set_result(self._popen.returncode)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@asynccontextmanager
async def child(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], files: Sequence[int] = (), asks: bool = True
) -> AsyncIterator[Child]:
    """A program, and all that it begins, for the length of a block; `files` are open in it too. Without `asks` it has
    no standard input. OSError: it cannot be begun."""
    begun = Child(_begin(words, cwd, env, files, subprocess.PIPE if asks else subprocess.DEVNULL))
    try:
        await begun.open()
        yield begun
    finally:
        try:
            await begun.end()
        finally:
            begun.close()


def _begin(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], files: Sequence[int], stdin: int
) -> "subprocess.Popen[bytes]":
    """Blocks until the program runs: about a millisecond."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, stdin=stdin, stdout=pipe, stderr=pipe, cwd=cwd, env=dict(env), pass_fds=files, start_new_session=True,
        bufsize=0,
    )  # fmt: skip

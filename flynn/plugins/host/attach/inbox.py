"""What a client sends to a process's standard input, kept in order until the process takes it."""

import asyncio
import os
from collections.abc import Awaitable, Callable

HELD = 4 * 1024 * 1024
"""Bytes that may wait; a client that sends more is not heard until the process has taken some."""

TOLD = 256 * 1024
"""Bytes taken after which the client is told."""


class Inbox:
    """`file` says where to write now (a file descriptor that does not block; -1: nowhere, what comes is dropped).

    `close` is called at the end of input, `taken` with the count of bytes that the process has taken in all.
    """

    def __init__(
        self, file: Callable[[], int], close: Callable[[], None], taken: Callable[[int], Awaitable[None]]
    ) -> None:
        self._file, self._close, self._tell = file, close, taken
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting = self._taken = 0

    async def put(self, data: bytes) -> None:
        """Waits while too much waits already."""
        await self._room.wait()
        if data:
            self._waiting += len(data)
            self._pieces.put_nowait(data)
        if self._waiting > HELD:
            self._room.clear()

    def end(self) -> None:
        """Nothing more will come."""
        self._pieces.put_nowait(b"")

    async def pour(self) -> None:
        """Write at the pace of the process; never returns."""
        while data := await self._pieces.get():
            await self._write(data)
            before, self._taken, self._waiting = self._taken, self._taken + len(data), self._waiting - len(data)
            if self._waiting <= HELD:
                self._room.set()
            if before // TOLD != self._taken // TOLD:
                await self._tell(self._taken)
        self._close()
        await asyncio.Event().wait()

    async def _write(self, data: bytes) -> None:
        """What the process no longer reads is dropped."""
        view = memoryview(data)
        while view and (file := self._file()) >= 0:
            try:
                view = view[os.write(file, view) :]
            except BlockingIOError:
                await writable(file)
            except OSError:  # EPIPE of a pipe, EIO of a terminal
                return


async def writable(file: int) -> None:
    """Until it can be written to."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(file)


async def readable(file: int) -> None:
    """Until it can be read from, or has ended."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)

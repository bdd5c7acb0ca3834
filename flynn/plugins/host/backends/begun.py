"""Hearing at once that a process has come to its own program: the shell that it begins as says so first (`BEGUN`)."""

import asyncio
import os

BEGUN = "trap '' PIPE; echo 2>/dev/null >&0; trap - PIPE; exec </dev/null; "
"""For a shell whose standard input is the far end of a `Begun`. Nobody may listen there any more: no reason to end."""


class Begun:
    """`near`, the daemon's end of a pair of sockets, is closed once it was said, or nobody is left who could."""

    def __init__(self, near: int) -> None:
        self._file, self._heard = near, asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._hear)

    async def wait(self) -> None:
        """Until then."""
        await self._heard.wait()

    def _hear(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)
        self._heard.set()

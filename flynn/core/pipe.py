"""Ends of pipes that the loop reads and writes, each closed once."""

import asyncio
import os
from typing import Any, cast


class End:
    """An end of a pipe, as transports take it. Those of asyncio close it. Those of uvloop close the descriptor
    themselves, and then the file that they were given: by that moment a thread may have opened another file by the same
    number, which would be closed under it."""

    def __init__(self, file: int, loop: asyncio.AbstractEventLoop) -> None:
        self._file, self._is_ours = file, not type(loop).__module__.startswith("uvloop")

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        if self._is_ours:
            self._is_ours = False
            os.close(self._file)


async def read_pipe(file: int, protocol: asyncio.BaseProtocol) -> asyncio.ReadTransport:
    """Have what comes out of a pipe read. The descriptor is the transport's from now on, and closed if there is none
    in the end."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: protocol, cast(Any, End(file, loop)))
    return transport


async def write_pipe(file: int, protocol: asyncio.BaseProtocol) -> asyncio.WriteTransport:
    """The same for a pipe that is written to."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(lambda: protocol, cast(Any, End(file, loop)))
    return transport

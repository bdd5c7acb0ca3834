"""Hearing that a process has begun: the first thing it does is to write a line into a FIFO."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.common.processes import expecting

NAME = "begun"

SAY = f"echo 1 >/cache/{NAME}"
"""What a process runs first, where the directory of the FIFO is `/cache`."""

LIMIT = 60.0
"""Seconds within which a line must be there."""


class Fifo:
    """`path` is that of the FIFO, `file` its descriptor."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self.file = path, file

    @property
    def dir(self) -> Path:
        return self.path.parent

    async def lines(self, count: int = 1, limit: float = LIMIT) -> float:
        """When so many more lines were there (`time.perf_counter`). NotMeasured: not within `limit` seconds."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(self.file, heard.set)
        try:
            with expecting(f"{count} processes have begun", limit):
                async with asyncio.timeout(limit):
                    while True:
                        await heard.wait()
                        heard.clear()
                        with suppress(BlockingIOError):
                            count -= os.read(self.file, 65536).count(b"\n")
                        if count <= 0:
                            return time.perf_counter()
        finally:
            loop.remove_reader(self.file)


@contextmanager
def open_fifo(dir: Path) -> Iterator[Fifo]:
    """A FIFO in a directory that is made, for the length of a block."""
    dir.mkdir(parents=True, exist_ok=True)
    path = dir / NAME
    os.mkfifo(path)
    path.chmod(0o666)
    # Open for both, which on Linux waits for nobody and never sees an end (fifo(7)).
    file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield Fifo(path, file)
    finally:
        os.close(file)
        path.unlink()

"""Tells the grid what this machine has left, in its own record: seldom, and only what has changed noticeably."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from flynn.core.brick import Context
from flynn.core.model import Load
from flynn.plugins.host.usage.machine import see
from flynn.plugins.host.usage.noticeable import noticeable

INTERVAL = 15.0
"""Seconds between two looks: so often, at most, the grid is told."""

MIB = 1024 * 1024


class Beat:
    """`load` is what was told last, once it has begun; `tell` writes it to the store."""

    def __init__(self, ctx: Context, tell: Callable[[], Awaitable[object]]) -> None:
        self.ctx, self.tell = ctx, tell
        self.load: Load | None = None

    async def begin(self) -> None:
        """The first look."""
        with contextlib.suppress(OSError):
            self.load, _, _ = await asyncio.to_thread(_look, self.ctx.data)

    async def run(self) -> None:
        """Look and tell, for ever. A store that is away is told when it is back, and no one waits for that."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.look()

    async def look(self) -> None:
        """Tell, if there is something to tell."""
        try:
            now, cpus, memory = await asyncio.to_thread(_look, self.ctx.data)
        except OSError as error:
            self.ctx.log.info("the disk of %s does not tell what is left: %s", self.ctx.data, error.strerror)
            return
        if self.load is None or noticeable(self.load, now, cpus, memory):
            self.load = now
            await self.tell()


def _look(data: Path) -> tuple[Load, int, int]:
    """The load, and what the machine has: cores, MiB of memory."""
    seen = see(data)
    load = Load(
        load=round(seen.load[0], 1),
        memory_free=seen.memory_free // MIB,
        disk_free=seen.disk_free // MIB,
        disk=seen.disk // MIB,
    )
    return load, seen.cpus, seen.memory // MIB

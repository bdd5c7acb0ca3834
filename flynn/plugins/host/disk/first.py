"""The little room that an agent needs to begin: without it a backend would only seem not to work."""

import asyncio
import time

from flynn.core.brick import Context
from flynn.core.disk import room
from flynn.core.errors import StartError
from flynn.core.room import MIB, words
from flynn.plugins.host.disk.budget import Marks, is_below
from flynn.plugins.host.logs.relief import relieve_all

LEAST = Marks(MIB, 64)

PATIENCE, LOOK = 30.0, 1.0
"""Seconds to wait for room, and between two looks."""


async def until_room(ctx: Context, log_size: int) -> bool:
    """Free what no log (of `log_size` bytes) could hold of what was printed meanwhile, then wait for room; whether the
    agent shall begin. StartError: there is no room."""
    deadline = time.monotonic() + PATIENCE
    while True:
        await asyncio.to_thread(relieve_all, ctx.data / "jobs", log_size)
        found = await asyncio.to_thread(room, ctx.data)
        if not is_below(found, LEAST):
            return True
        told = f"{words(found.free)}, and {found.free_files} files, free"
        if time.monotonic() > deadline:
            raise StartError(f"the host agent has no room in {ctx.data} ({told}); make some, and start again")
        ctx.say(f"waits for room in {ctx.data} ({told})")
        try:
            async with asyncio.timeout(LOOK):
                await ctx.stopping.wait()
            return False
        except TimeoutError:
            continue

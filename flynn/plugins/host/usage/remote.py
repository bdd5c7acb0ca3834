"""Asks those who tell of jobs that this machine's kernel does not show: the engine of another machine, say."""

import asyncio
import contextlib
from collections.abc import Mapping

from flynn.plugins.host.usage.reading import Reading, Seat

LIMIT = 2.0
"""Seconds for all answers: whoever asked for the numbers waits for them."""

AT_ONCE = 4
"""Questions at a time."""


async def ask(seats: Mapping[str, Seat]) -> dict[str, Reading]:
    """What is told of those that have someone to ask. Of what comes too late nothing is known."""
    found = {id: Reading() for id, seat in seats.items() if seat.ask}
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(id: str, seat: Seat) -> None:
        assert seat.ask
        async with turns:
            found[id] = await seat.ask()

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
            for id in found:
                tasks.create_task(one(id, seats[id]), name=f"usage of {id}")
    return found

"""Going through a lot without holding up everyone else on the loop."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

TURN = 100
"""Items between two turns of the loop."""

T = TypeVar("T")


async def turns(items: Iterable[T], size: int = TURN) -> AsyncIterator[T]:
    """The items, and a turn for the loop before each `size` of them. What they come from must not change meanwhile."""
    for number, item in enumerate(items):
        if number % size == 0:
            await asyncio.sleep(0)
        yield item

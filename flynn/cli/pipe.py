"""Standard output that nobody reads any more: noticed without writing to it, as a quiet log would never do."""

import asyncio
import select
import sys
from collections.abc import Coroutine

LOOK = 1.0
"""Seconds between two looks."""


async def while_read(work: Coroutine[None, None, None]) -> None:
    """Do `work` to its end; BrokenPipeError when standard output is a pipe whose reader has gone."""
    doing = asyncio.create_task(work, name="output")
    try:
        while not (await asyncio.wait([doing], timeout=LOOK))[0]:
            if unread(sys.stdout.fileno()):
                raise BrokenPipeError
        doing.result()
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


def unread(file: int) -> bool:
    """Whether `file` is the end of a pipe or socket whose other end is closed (poll(2): POLLERR, POLLHUP)."""
    poll = select.poll()
    poll.register(file, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))

"""What a thread makes for a coroutine, which may be cancelled meanwhile: somebody has it, or it is undone."""

import asyncio
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import BinaryIO, TypeVar

T = TypeVar("T")


async def handed(
    thread: Callable[[Callable[[], T]], Awaitable[T]], make: Callable[[], T], undo: Callable[[T], object]
) -> T:
    """What `make` returns in a thread; `thread` runs it there, as `asyncio.to_thread` does.

    Who is cancelled before it comes never has it: then `undo` is called with it, in that thread, or here if it had
    just come.
    """
    lock, came, is_unwanted = Lock(), list[T](), False

    def run() -> T:
        made = make()
        with lock:
            came.append(made)
            late = is_unwanted
        if late:
            undo(made)
        return made

    try:
        return await thread(run)
    except asyncio.CancelledError:
        with lock:
            is_unwanted = True
            unseen = list(came)
        for made in unseen:
            undo(made)
        raise


async def opened(
    thread: Callable[[Callable[[], BinaryIO | None]], Awaitable[BinaryIO | None]], open: Callable[[], BinaryIO | None]
) -> BinaryIO | None:
    """The same for a file, which is closed again."""
    return await handed(thread, open, lambda file: file and file.close())

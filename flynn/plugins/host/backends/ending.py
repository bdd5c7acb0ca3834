"""Making a process end: by asking it, then by killing it."""

import asyncio
import contextlib
import signal
from collections.abc import Iterable

from flynn.plugins.host.backends.backend import NotStarted, Running


async def terminate(running: Running, signals: Iterable[signal.Signals], timeout: float) -> tuple[int | None, bool]:
    """Ask it to end, kill it after `timeout` seconds; its exit code, and whether it had to be killed."""
    try:
        async with asyncio.timeout(timeout):
            await running.pid()
            for number in (*signals, signal.SIGCONT):  # one that is stopped would not hear of it
                await running.signal(number)
            return await exit_code(running), False
    except TimeoutError:
        return await kill(running), True


async def kill(running: Running) -> int | None:
    """Kill it, and wait until the kernel has done so, however long that takes; the exit code."""
    while True:
        await running.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                return await exit_code(running)


async def exit_code(running: Running) -> int | None:
    """Its exit code once it has ended; None if nobody knows, or if it never began."""
    with contextlib.suppress(NotStarted):
        return await running.wait()
    return None

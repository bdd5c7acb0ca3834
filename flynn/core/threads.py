"""Threads that are there before there is work for them: a machine with as many processes as it may have gives no more.

`ThreadPoolExecutor` begins each with the first work that finds none idle, and fails that work where it cannot.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from flynn.core.errors import StartError


def begun(number: int, name: str) -> ThreadPoolExecutor:
    """An executor whose threads all run. StartError: the machine gives none."""
    threads, together = ThreadPoolExecutor(number, name), Barrier(number + 1)
    try:
        for _ in range(number):
            threads.submit(together.wait)  # None is idle, so each has a thread of its own.
        together.wait()
    except RuntimeError:
        together.abort()
        threads.shutdown(wait=False)
        raise StartError(
            "no thread can be begun: this machine, or this user, has as many processes as it may "
            "(kernel.pid_max, kernel.threads-max, `ulimit -u`, pids.max of a control group)"
        ) from None
    return threads


def workers() -> ThreadPoolExecutor:
    """For all that blocks for a moment (`asyncio.to_thread`): as many threads as asyncio would have."""
    return begun(min(32, (os.cpu_count() or 1) + 4), "worker")

"""A file that one process has for itself, as long as it runs (flock(2))."""

import fcntl
import time

LAST = 1.0
"""Seconds to wait for one that has just ended: a process that it was about to begin has its files until it runs its
program, so a lock may outlive a daemon that was killed by some milliseconds."""

LOOK = 0.02
"""Seconds between two tries."""


def lock(file: int) -> bool:
    """Lock an open file; False: another process has it. Blocks for `LAST` seconds at most."""
    until = time.monotonic() + LAST
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
        time.sleep(LOOK)

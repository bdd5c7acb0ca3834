"""A network of the tests' own, in which they change what they like: another one than the machine's, and empty.

Only root can make one.
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
"""linux/sched.h."""


@contextlib.contextmanager
def netns() -> Iterator[None]:
    """The thread that asks for it is in there until the end of the block, and what it begins: threads, programs."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network can be made")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            if libc.setns(before, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the network of before cannot be had back")
    finally:
        os.close(before)

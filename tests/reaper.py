"""Ends what the tests of a process leave behind: `python reaper.py DIR...`, run beside it, waits for its end.

Jobs outlive the daemon, by design: when a test process is killed, its daemons' jobs run on, and may fill the disk with
what nobody takes in. Whoever prints into one of the directories, or has one among its words, is killed once standard
input has ended, which happens however that process ends; and before, whoever fills the disk.
"""

import contextlib
import os
import select
import signal
import sys

import psutil

LOOK = 2.0
"""Seconds between two looks at the disk."""

LEAST, MUCH = 2 << 30, 1 << 30
"""Bytes free below which those are killed that have printed so much."""


def main(dirs: list[str]) -> None:
    """Until the end of standard input, and what follows."""
    while not select.select([sys.stdin], [], [], LOOK)[0]:
        if (room := os.statvfs(dirs[0])).f_bavail * room.f_frsize < LEAST:
            kill(dirs, MUCH)
    while kill(dirs):
        pass


def kill(dirs: list[str], printed: int = 0) -> int:
    """Kill those whose output, of `printed` bytes at least, goes below the directories; how many there were."""
    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and _belongs(process, dirs, printed):
                os.kill(process.pid, signal.SIGKILL)
                found += process.status() != psutil.STATUS_ZOMBIE
    return found


def _belongs(process: psutil.Process, dirs: list[str], printed: int) -> bool:
    outputs = [f"/proc/{process.pid}/fd/{number}" for number in (1, 2)]
    for path in outputs:
        with contextlib.suppress(OSError):
            if os.readlink(path).startswith(tuple(dirs)) and os.stat(path).st_blocks * 512 >= printed:
                return True
    return not printed and any(word.startswith(tuple(dirs)) for word in process.cmdline())


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the kernel tells of one process in /proc (proc(5)), read without a look at any other: quick enough for the loop.

Elsewhere, or where the kernel was built without a part of it, psutil finds out, which may take longer.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Collection
from typing import NamedTuple

import psutil

PAUSE = 0.005
"""Seconds between two looks at what ends any moment."""

LISTEN = b"0A"
"""The state (include/net/tcp_states.h)."""


class Stat(NamedTuple):
    """`started` in the system's own measure (clock ticks since boot on Linux). `over`: ended, but not reaped yet."""

    started: float
    over: bool
    parent: int


def stat(pid: int) -> Stat | None:
    """None: there is no such process. OSError: this daemon lacks open files; that is no word on the process."""
    try:
        if sys.platform != "linux":
            process = psutil.Process(pid)
            return Stat(float(process.create_time()), process.status() == psutil.STATUS_ZOMBIE, process.ppid())
        found = _read(f"/proc/{pid}/stat")
        fields = found[found.rindex(b")") + 2 :].split()
        return Stat(float(fields[19]), fields[0] in (b"Z", b"X"), int(fields[1]))  # Fields 22, 3, 4.
    except (FileNotFoundError, ProcessLookupError, psutil.Error):
        return None


def over(pid: int) -> bool:
    """Whether it has ended, be it that nobody has taken note yet. OSError as above."""
    found = stat(pid)
    return found is None or found.over


def await_end(pid: int, limit: float) -> None:
    """Block until it has ended, for `limit` seconds at most; it is there now. Where the system cannot tell, for a
    moment."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # Before Linux 5.3.
        time.sleep(min(PAUSE, limit))
        return
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        poll.poll(limit * 1000)
    finally:
        os.close(watched)


def first_child(pid: int) -> int:
    """The oldest child of `pid` (which has one thread) that runs a program of its own, or 0.

    Before that it still has its parent's handlers, and would swallow a signal. OSError as above.
    """
    try:
        mine = _cmdline(pid)
        born = [(its.started, child) for child in children(pid) if (its := stat(child))]
        return next((child for _, child in sorted(born) if _cmdline(child) not in (b"", mine)), 0)
    except (FileNotFoundError, ProcessLookupError, psutil.Error):
        return 0


def children(pid: int) -> list[int]:
    """Of a process that has one thread; none, if it has ended. OSError as above."""
    try:
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
    except ProcessLookupError:
        return []
    except FileNotFoundError:  # It has ended, or the kernel does not tell.
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.NoSuchProcess:
            return []


def below(root: int, among: Collection[int]) -> list[int]:
    """Those that descend from `root` through others of them. OSError as above."""
    parents = {pid: its.parent for pid in among if (its := stat(pid))}
    found = []
    for pid in parents:
        at, steps = parents[pid], 0
        while at in parents and at != root and steps < len(parents):
            at, steps = parents[at], steps + 1
        if at == root:
            found.append(pid)
    return found


def listening(pid: int, port: int) -> bool:
    """Whether somebody takes TCP connections on that port in the network that process is in (proc(5), /proc/net/tcp).
    OSError as above."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in _read(f"/proc/{pid}/net/{name}").splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == LISTEN and int(local.rpartition(b":")[2], 16) == port:
                    return True
    return False


def _cmdline(pid: int) -> bytes:
    """Empty: it has none, or has ended."""
    try:
        if sys.platform != "linux":
            return "\0".join(psutil.Process(pid).cmdline()).encode()
        return _read(f"/proc/{pid}/cmdline")
    except (FileNotFoundError, ProcessLookupError, psutil.Error):
        return b""


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while piece := os.read(file, 65536):
            found += piece
        return found
    finally:
        os.close(file)

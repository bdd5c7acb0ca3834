"""Control groups: how the kernel counts and limits the processes of a job together, and finds all of them again.

Two versions of the kernel's interface, one of ours: `cgroup1.py`, `cgroup2.py`. A daemon that is root makes its groups
at the top of each hierarchy, another one as far up as it may write; so they do not end with the daemon's own group.
The groups of a job are written down in its directory (`cgroup`), for the daemon that comes after.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from flynn.plugins.host.backends.backend import Kills, Limits

PATIENCE = 5.0
"""Seconds that the last process of a group may take to be gone once it is killed."""

OURS = 3
"""Processes of ours that stand around a job (a shell, bubblewrap's two): they do not count against its limit."""

MIB = 1024 * 1024
YIELDING = 10
"""Percent of the CPU of others that a job gets which yields to them, where there is too little for all."""

PERIOD = 100_000
"""Microseconds among which a share of CPU time is counted."""


class Group(Protocol):
    """The group of one job. All methods block for a moment: call them in a thread."""

    @property
    def dirs(self) -> Sequence[Path]:
        """Its directory in each hierarchy."""

    @property
    def entries(self) -> Sequence[Path]:
        """The files that a process with one thread writes `0` to, to move into the group."""

    def limit(self, limits: Limits) -> None:
        """Set what is limited; what this machine cannot limit is passed over. OSError: the kernel refuses."""

    def close(self) -> None:
        """Let no more processes be made in it."""

    def kill(self) -> None:
        """Kill all processes in it."""

    def oom_kills(self) -> Kills:
        """What of it was killed for want of memory."""

    def refusals(self) -> int:
        """How often it was refused one more process, as it had as many as it may."""


class Hierarchy(Protocol):
    """Where groups are made, each daemon's below a directory of its own."""

    @property
    def lacks(self) -> Sequence[str]:
        """What cannot be limited here, of `memory`, `cpu`, `pids`."""

    @property
    def parents(self) -> Sequence[Path]:
        """Where its directory, and those of other daemons of this machine, are."""

    def at(self, name: str) -> Group:
        """The group of that name, there or not."""

    def make(self, name: str) -> Group:
        """An empty group. FileExistsError: there is one of that name. OSError: the kernel refuses."""

    def present(self) -> list[str]:
        """The names of the groups that there are."""


def directory_of(data: Path) -> str:
    """What a daemon's directory of groups is called, told apart from that of others by where its data is."""
    return f"flynn-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:8]}"


def members(group: Group) -> set[int]:
    """The processes in it."""
    found: set[int] = set()
    for dir in group.dirs:
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (dir / "cgroup.procs").read_text().split()}
    return found


def kill_each(group: Group, spare: int = 0, limit: float = PATIENCE) -> None:
    """Kill its processes one by one, but for the one to spare, until none is left or `limit` seconds have passed."""
    deadline = time.monotonic() + limit
    group.close()
    while (found := members(group) - {spare}) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def remove(group: Group, limit: float = PATIENCE) -> bool:
    """Kill what is left in it, and remove it; whether it is gone. The last group's directory goes with it."""
    deadline = time.monotonic() + limit
    for dir in group.dirs:
        while not _removed(dir):
            if time.monotonic() >= deadline:
                return False
            group.kill()
            time.sleep(0.005)
        with contextlib.suppress(OSError):
            dir.parent.rmdir()
    return True


def _removed(dir: Path) -> bool:
    """A group goes with those below it (a process without walls may have made some)."""
    for folder, _, _ in os.walk(dir, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not dir.exists()


def fresh(hierarchy: Hierarchy, name: str, limits: Limits) -> Group:
    """A group for a job that begins, with its limits. OSError: the kernel refuses."""
    for turn in range(3):
        try:
            group = hierarchy.make(name)
            group.limit(limits)
            return group
        except FileExistsError:  # That of its last run, or half of it.
            remove(hierarchy.at(name))
            if turn == 2:
                raise
        except FileNotFoundError:  # The last group of before took the directory of all with it.
            if turn == 2:
                raise
    raise AssertionError("it returns, or raises")


def put(path: Path, text: str) -> None:
    """Write to a file of the kernel's. OSError: it refuses."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(file)


def sweep(hierarchy: Hierarchy, keep: Collection[str]) -> None:
    """Remove the groups that belong to no job, with all that still runs in them."""
    for name in hierarchy.present():
        if name not in keep:
            remove(hierarchy.at(name))

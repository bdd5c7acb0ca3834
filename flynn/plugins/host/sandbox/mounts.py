"""What is mounted on this machine that no sandbox has a use for.

bubblewrap begins in a copy of all mounts, and reads the list of them again for each one that it makes: with a hundred
containers of another engine beside it, that is a third of all the time it takes. What is kept ready is begun without.
"""

import asyncio
import shlex
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Collection
from pathlib import Path, PurePath

from flynn.plugins.host.mountinfo import mounted
from flynn.plugins.host.sandbox.rootfs import SYSTEM, python_homes

USELESS = frozenset(
    {
        "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue",
        "nsfs", "overlay", "pstore", "securityfs", "squashfs", "sysfs", "tracefs",
    }
)  # fmt: skip
"""Kinds of file systems: those of the kernel that a sandbox does not have, and of containers and packages. To let go of
what is on a network could take for ever; what is on a disk may be the data of jobs."""

KERNEL = PurePath("/sys")
"""All below is its own, as the directory in memory that has the mounts of control groups of version 1."""

WITHOUT = ("unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c")
"""Runs a shell in a copy of all mounts (unshare(1)): nothing of what is done there is seen outside, and what is mounted
or let go outside later is so there."""

PATIENCE = 10.0
"""Seconds that this may take where it is tried."""


def useless(mountinfo: str, needed: Collection[PurePath]) -> list[str]:
    """Where they are, by the text of /proc/self/mountinfo; nothing that is `needed` is on them, or they on it."""
    goes: dict[PurePath, bool] = {}
    for mount in mounted(mountinfo):
        is_needed = any(mount.point.is_relative_to(path) or path.is_relative_to(mount.point) for path in needed)
        goes[mount.point] = not is_needed and (mount.kind in USELESS or mount.point.is_relative_to(KERNEL))
    stays = [point for point in goes if not goes[point]]
    whole = {point for point in goes if goes[point] and not any(path.is_relative_to(point) for path in stays)}
    return [str(point) for point in goes if point in whole and whole.isdisjoint(point.parents)]


async def can_let_go() -> bool:
    """Whether this daemon may have mounts of its own."""
    try:
        asked = await asyncio.create_subprocess_exec(*WITHOUT, "exit 0", stdin=DEVNULL, stderr=DEVNULL)
    except OSError:
        return False
    try:
        async with asyncio.timeout(PATIENCE):
            return await asked.wait() == 0
    except TimeoutError:
        asked.kill()
        return False


def letting_go(data: Path) -> list[str]:
    """The words before those of a program that is to begin without what is mounted and useless, where `data` are those
    of jobs. What does not go stays: the program begins all the same. OSError: the kernel does not say what is mounted.
    """
    needed = [data.resolve(), Path(tempfile.gettempdir()), *map(Path, (*SYSTEM, *python_homes()))]
    points = useless(Path("/proc/self/mountinfo").read_text(), needed)
    return [*WITHOUT, f'umount -lnc -- {shlex.join(points)} 2>/dev/null; exec "$@"', "sh"] if points else []

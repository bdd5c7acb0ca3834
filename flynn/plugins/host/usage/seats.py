"""Where the kernel counts what a job takes: the groups that its backend made, or those that its process is found in."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from flynn.plugins.host.backends.backend import Kills
from flynn.plugins.host.limits.cgroup1 import Group1
from flynn.plugins.host.limits.cgroup2 import Group2
from flynn.plugins.host.limits.cgroup_mounts import Mount, mounts, paths
from flynn.plugins.host.limits.limiter import group_of
from flynn.plugins.host.usage.kernel import text
from flynn.plugins.host.usage.reading import Seat

COUNTED = ("memory", "cpu", "cpuacct")
"""Controllers of version 1 that count what we want to know."""


def seat_of(dir: Path, root: int) -> Seat:
    """Of a job with this directory: the groups that were made for it."""
    group = group_of(dir)
    if group is None:
        return Seat(root=root)
    by = group.by if isinstance(group, Group1) else {"": group.dirs[0]}
    return Seat({name: str(path) for name, path in by.items()}, root)


def seat_among(root: int) -> Seat:
    """Of a job whose first process is this one, in groups that somebody else has made for it alone."""
    return Seat(found(_mounts(), paths(text(f"/proc/{root}/cgroup"))), root)


def killed_for_memory(root: int) -> Kills:
    """What of those groups the kernel has ended for want of memory."""
    groups = seat_among(root).groups
    if "memory" in groups:
        return Group1({"memory": Path(groups["memory"])}).oom_kills()
    return Group2(Path(groups[""])).oom_kills() if "" in groups else Kills()


def found(mounted: Iterable[Mount], own: Mapping[str, str]) -> dict[str, str]:
    """The directories of a process whose groups are `own`; without those that are not to be seen from here."""
    dirs: dict[str, str] = {}
    for mount in mounted:
        for name in mount.controllers or ("",):
            below = _below(mount, own.get(name, ""))
            if below:
                dirs[name] = f"{mount.point}/{below}"
    return dirs


def _below(mount: Mount, place: str) -> str:
    """Where a group is below the mount; empty: at its top, which holds others too, or outside."""
    root = mount.root.rstrip("/")
    inside = place == root or place.startswith(f"{root}/")
    parts = [part for part in place.removeprefix(root).split("/") if part] if inside else []
    return "" if ".." in parts else "/".join(parts)


@cache
def _mounts() -> tuple[Mount, ...]:
    return tuple(mounts(text("/proc/self/mountinfo"), COUNTED))

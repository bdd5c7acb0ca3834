"""Where this machine's control groups are, and how far up the daemon may make its own."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flynn.plugins.host.limits.cgroup import Hierarchy, directory_of
from flynn.plugins.host.limits.cgroup1 import CONTROLLERS, Hierarchy1
from flynn.plugins.host.limits.cgroup2 import hierarchy2
from flynn.plugins.host.limits.leftover import clear

PROC = Path("/proc/self")


@dataclass(frozen=True)
class Mount:
    """A hierarchy that is mounted: its controllers (none: version 2), where, and which part of it is seen there."""

    controllers: tuple[str, ...]
    point: Path
    root: str


def mounts(mountinfo: str, wanted: Collection[str] = CONTROLLERS) -> list[Mount]:
    """The hierarchies in the text of /proc/self/mountinfo (proc(5)), with those controllers of them that are wanted."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind in ("cgroup", "cgroup2"):
            words = before.split()
            named = options.split()[-1].split(",") if kind == "cgroup" else []
            found.append(Mount(tuple(name for name in wanted if name in named), Path(_plain(words[4])), words[3]))
            if kind == "cgroup" and not found[-1].controllers:
                found.pop()
    return found


def paths(cgroup: str) -> dict[str, str]:
    """The daemon's own group for each controller, and in version 2 (""), from the text of /proc/self/cgroup."""
    found: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, names, path = line.split(":", 2)
        found |= dict.fromkeys(names.split(","), path)
    return found


def highest(mount: Mount, own: str) -> Path | None:
    """The directory furthest up, from the daemon's own group, that it may make groups in."""
    below = own.removeprefix(mount.root.rstrip("/")).strip("/") if own.startswith(mount.root.rstrip("/")) else ""
    dirs = [mount.point, *(mount.point / part for part in _growing(below))]
    return next((dir for dir in dirs if _may_write(dir)), None)


def find(data: Path, proc: Path = PROC) -> Hierarchy | None:
    """What there is to limit jobs with, of the version that can do more (2, if both can); None: nothing."""
    try:
        found, own = mounts((proc / "mountinfo").read_text()), paths((proc / "cgroup").read_text())
        hierarchies = [*_hierarchies(found, own, data)]
    except OSError:
        return None
    best = min(hierarchies, key=lambda hierarchy: len(hierarchy.lacks))
    return best if len(best.lacks) < len(CONTROLLERS) else None


def clear_leftovers(data: Path) -> int:
    """Remove what daemons that never come back have left there, but for what runs; how many groups. Blocks."""
    hierarchy = find(data)
    return clear(hierarchy.parents) if hierarchy else 0


def _hierarchies(found: list[Mount], own: Mapping[str, str], data: Path) -> Iterator[Hierarchy]:
    for mount in found:
        if not mount.controllers and (top := highest(mount, own.get("", "/"))):
            yield hierarchy2(top, data)
    name = directory_of(data)
    yield Hierarchy1({controller: top / name for controller, top in _tops1(found, own)}, data)


def _tops1(found: list[Mount], own: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for mount in found:
        for controller in mount.controllers:
            if top := highest(mount, own.get(controller, "/")):
                yield controller, top


def _may_write(dir: Path) -> bool:
    files = [dir, dir / "cgroup.procs"]
    control = dir / "cgroup.subtree_control"
    return all(os.access(path, os.W_OK) for path in [*files, *([control] if control.exists() else [])])


def _growing(path: str) -> Iterator[str]:
    """`a/b/c`: `a`, `a/b`, `a/b/c`."""
    parts = path.split("/") if path else []
    yield from ("/".join(parts[: number + 1]) for number in range(len(parts)))


def _plain(path: str) -> str:
    """A path as it is, of which mountinfo tells spaces by octal numbers."""
    return path.encode().decode("unicode_escape") if "\\" in path else path

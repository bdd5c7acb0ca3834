"""Control groups of version 2: one hierarchy for all (Linux, admin-guide/cgroup-v2).

A group whose children have limits can hold no process itself, but for the machine's root. Where the daemon sits in the
group that was delegated to it, it moves to a leaf of that first, with all that is there.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.plugins.host.backends.backend import Kills, Limits
from flynn.plugins.host.limits.cgroup import MIB, OURS, PERIOD, YIELDING, directory_of, kill_each, put
from flynn.plugins.host.limits.cgroup1 import CONTROLLERS, counter
from flynn.plugins.host.limits.leftover import mark
from flynn.plugins.host.usage.kernel import text, value

LEAF = "flynn-daemon"

TURNS = 10
"""How often what is in a group is moved out of it: each turn finds what the last has left."""

COUNTERS = ("io",)
"""Controllers that limit nothing here, but count what each job reads and writes."""


@dataclass(frozen=True)
class Group2:
    """Its one directory."""

    dir: Path

    @property
    def dirs(self) -> Sequence[Path]:
        return (self.dir,)

    @property
    def entries(self) -> Sequence[Path]:
        return (self.dir / "cgroup.procs",)

    def limit(self, limits: Limits) -> None:
        if limits.memory and self._has("memory.max"):
            put(self.dir / "memory.max", str(limits.memory * MIB))
            with contextlib.suppress(OSError):  # The kernel may not count swap.
                put(self.dir / "memory.swap.max", "0")
        if limits.cpus and self._has("cpu.max"):
            put(self.dir / "cpu.max", f"{int(limits.cpus * PERIOD)} {PERIOD}")
        if limits.yields and self._has("cpu.weight"):
            (self.dir / "cpu.weight").write_text(str(YIELDING))  # Others have 100.
        if limits.pids and self._has("pids.max"):
            put(self.dir / "pids.max", str(limits.pids + OURS))

    def close(self) -> None:
        if self._has("pids.max"):
            with contextlib.suppress(OSError):
                put(self.dir / "pids.max", "0")

    def kill(self) -> None:
        """By the kernel in one go (since 5.14), else one by one."""
        if self._has("cgroup.kill"):
            with contextlib.suppress(OSError):
                put(self.dir / "cgroup.kill", "1")
        else:
            kill_each(self)

    def oom_kills(self) -> Kills:
        """`oom` counts only where the limit was that was in the way: both as of one moment."""
        events = text(str(self.dir / "memory.events"))
        return Kills(value(events, "oom_kill") or 0, bool(value(events, "oom")))

    def refusals(self) -> int:
        return counter(self.dir / "pids.events", "max")

    def _has(self, file: str) -> bool:
        return (self.dir / file).exists()


@dataclass(frozen=True)
class Hierarchy2:
    """`top` is the daemon's own directory of groups, `controllers` what can be used below it, `counters` beside.
    `data` is its data directory."""

    top: Path
    data: Path
    controllers: Sequence[str]
    counters: Sequence[str] = ()

    @property
    def parents(self) -> Sequence[Path]:
        return (self.top.parent,)

    @property
    def lacks(self) -> Sequence[str]:
        return [name for name in CONTROLLERS if name not in self.controllers]

    def at(self, name: str) -> Group2:
        return Group2(self.top / name)

    def make(self, name: str) -> Group2:
        """Its directory, and that of all if need be, which passes the controllers on."""
        with contextlib.suppress(FileExistsError):
            self.top.mkdir()
            mark(self.top, self.data)
        for controller in self.controllers:
            pass_on(self.top, controller)
        for controller in self.counters:
            _passes_on(self.top, controller)
        group = self.at(name)
        group.dir.mkdir()
        return group

    def present(self) -> list[str]:
        return sorted(path.name for path in self.top.iterdir() if path.is_dir()) if self.top.is_dir() else []


def hierarchy2(parent: Path, data: Path) -> Hierarchy2:
    """Groups below `parent` of the daemon with these data, with those controllers that `parent` has and can pass on.
    OSError: it is none."""
    there = (parent / "cgroup.controllers").read_text().split()
    if not _is_root(parent) and {*CONTROLLERS, *COUNTERS} & {*there}:
        with contextlib.suppress(OSError):  # Whoever it may not move; then the kernel refuses below.
            make_room(parent)

    def usable(wanted: Sequence[str]) -> tuple[str, ...]:
        return tuple(each for each in wanted if each in there and _passes_on(parent, each))

    return Hierarchy2(parent / directory_of(data), data, usable(CONTROLLERS), usable(COUNTERS))


def _passes_on(dir: Path, controller: str) -> bool:
    try:
        pass_on(dir, controller)
    except OSError:
        return False
    return True


def pass_on(dir: Path, controller: str) -> None:
    """Let the groups below have a controller. OSError: the kernel refuses."""
    control = dir / "cgroup.subtree_control"
    if controller not in control.read_text().split():
        control.write_text(f"+{controller}")


def make_room(dir: Path) -> None:
    """Move the processes of a group into a leaf below it. OSError: the kernel refuses.

    It says no itself where such a group shall pass on memory or io; but where it is cpu or pids, it makes of the group
    the root of a threaded subtree, in which no group below can take a process (cgroup-v2, "Threads").
    """
    for _ in range(TURNS):  # They may make more meanwhile.
        pids = (dir / "cgroup.procs").read_text().split()
        if not pids:
            return
        (dir / LEAF).mkdir(exist_ok=True)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (dir / LEAF / "cgroup.procs").write_text(pid)


def _is_root(dir: Path) -> bool:
    """Whether it is the machine's first group, which may do both: hold processes, and pass on."""
    return not (dir / "cgroup.type").exists()

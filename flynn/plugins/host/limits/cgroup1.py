"""Control groups as they were first made: a hierarchy for each controller (Linux, admin-guide/cgroup-v1)."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.plugins.host.backends.backend import Kills, Limits
from flynn.plugins.host.limits.cgroup import MIB, OURS, PERIOD, YIELDING, kill_each, put
from flynn.plugins.host.limits.leftover import mark
from flynn.plugins.host.usage.kernel import number

CONTROLLERS = ("memory", "cpu", "pids")


@dataclass(frozen=True)
class Group1:
    """`by` has its directory for each controller that there is."""

    by: Mapping[str, Path]

    @property
    def dirs(self) -> Sequence[Path]:
        return tuple(dict.fromkeys(self.by.values()))

    @property
    def entries(self) -> Sequence[Path]:
        """Through `cgroup.procs` the kernel first waits until no process of the machine is about to make another, often
        for 10 ms; through `tasks` it need not (kernel/cgroup/cgroup.c, cgroup_procs_write_start)."""
        return tuple(dir / "tasks" for dir in self.dirs)

    def limit(self, limits: Limits) -> None:
        if limits.memory and (dir := self.by.get("memory")):
            put(dir / "memory.limit_in_bytes", str(limits.memory * MIB))
            with contextlib.suppress(OSError):  # The kernel may not count swap.
                put(dir / "memory.memsw.limit_in_bytes", str(limits.memory * MIB))
        if limits.cpus and (dir := self.by.get("cpu")):
            put(dir / "cpu.cfs_period_us", str(PERIOD))
            put(dir / "cpu.cfs_quota_us", str(int(limits.cpus * PERIOD)))
        if limits.yields and (dir := self.by.get("cpu")):
            (dir / "cpu.shares").write_text(str(1024 * YIELDING // 100))  # Others have 1024.
        if limits.pids and (dir := self.by.get("pids")):
            put(dir / "pids.max", str(limits.pids + OURS))

    def close(self) -> None:
        if dir := self.by.get("pids"):
            with contextlib.suppress(OSError):
                put(dir / "pids.max", "0")

    def kill(self) -> None:
        kill_each(self)

    def oom_kills(self) -> Kills:
        """`oom_kill` of memory.oom_control, which counts since Linux 4.13. How often the limit was in the way is not
        counted everywhere (`memory.failcnt` stays at 0 on Linux 6.18), but the most that it ever had is: that is read
        last, as it may reach the limit meanwhile. Of a group that goes meanwhile nothing is known."""
        if not (dir := self.by.get("memory")):
            return Kills()
        killed = counter(dir / "memory.oom_control", "oom_kill")
        most, limit = (number(f"{dir}/memory.{name}_in_bytes") for name in ("max_usage", "limit"))
        return Kills() if most is None or limit is None else Kills(killed, most > limit - MIB)

    def refusals(self) -> int:
        """`max` of pids.events, which counts since Linux 4.7."""
        return counter(self.by["pids"] / "pids.events", "max") if "pids" in self.by else 0


@dataclass(frozen=True)
class Hierarchy1:
    """`tops` has, for each controller that can be used, the daemon's own directory of groups. `data` is its data
    directory."""

    tops: Mapping[str, Path]
    data: Path

    @property
    def parents(self) -> Sequence[Path]:
        return tuple(dict.fromkeys(top.parent for top in self.tops.values()))

    @property
    def lacks(self) -> Sequence[str]:
        return [name for name in CONTROLLERS if name not in self.tops]

    def at(self, name: str) -> Group1:
        return Group1({controller: top / name for controller, top in self.tops.items()})

    def make(self, name: str) -> Group1:
        group = self.at(name)
        for dir in group.dirs:
            try:
                os.mkdir(dir)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    dir.parent.mkdir()
                    mark(dir.parent, self.data)
                os.mkdir(dir)
        return group

    def present(self) -> list[str]:
        tops = [top for top in self.tops.values() if top.is_dir()]
        return sorted({path.name for top in tops for path in top.iterdir() if path.is_dir()})


def counter(path: Path, name: str) -> int:
    """The number beside a name in a file of such lines; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            word, _, number = line.partition(" ")
            if word == name:
                return int(number)
    return 0

"""What holds jobs within their limits: control groups where this daemon can make some, the kernel's plain limits else.

Without groups nothing limits memory. RLIMIT_AS and RLIMIT_DATA would: but each process for itself, and by addresses,
of which Node, Go and Java reserve far more than they use; an honest word is better than apps that fail by chance.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flynn.plugins.host.backends.backend import Kills, Limits, NotStarted, Spec
from flynn.plugins.host.limits.cgroup import Group, Hierarchy, fresh, remove, sweep
from flynn.plugins.host.limits.cgroup1 import Group1
from flynn.plugins.host.limits.cgroup2 import Group2
from flynn.plugins.host.limits.cgroup_mounts import find

WORDS = {"memory": "memory", "cpu": "CPU", "pids": "processes"}

NICE = 10
"""How far a job that yields stands back where no group says so: to the kernel it weighs a tenth of another then."""

AGAIN = 2
"""How often the groups are made once more if they go while they are made."""

REMEDY = (
    "run the daemon as root, or delegate control groups to it (systemd-run --user --scope -p Delegate=yes flynn daemon)"
)


@dataclass(frozen=True)
class Hold:
    """What a process that begins is to do: enter these groups (write `0` to the files). `files`, `pids`: its plain
    limits (RLIMIT_NOFILE, RLIMIT_NPROC), 0: none. `nice`: how far it stands back for others (nice(2))."""

    groups: Sequence[Path] = ()
    files: int = 0
    pids: int = 0
    nice: int = 0


class Limiter:
    """`data`: the agent's directory, which has its jobs in `jobs`. `lacks`: what cannot be limited here, and why."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.hierarchy: Hierarchy | None = None
        self.lacks = ""

    def open(self) -> None:
        """Find out what there is, and clear away what was left of jobs that are no more. Blocks for a moment. Another
        daemon may just remove the groups of one of before, whose data were gone until now (`leftover.py`); those that
        are made here have data from the beginning on."""
        self.data.mkdir(parents=True, exist_ok=True)
        for _ in range(AGAIN):
            with contextlib.suppress(FileNotFoundError):
                self._open()
                return
        self._open()

    def _open(self) -> None:
        self.hierarchy = find(self.data)
        if self.hierarchy and (why := self._try(self.hierarchy)):
            self.hierarchy, self.lacks = None, f"no limits of memory, CPU and processes ({why}): {REMEDY}"
        elif self.hierarchy:
            missing = " and ".join(WORDS[name] for name in self.hierarchy.lacks)
            self.lacks = f"no limits of {missing}: the control groups here have none" if missing else ""
        else:
            self.lacks = f"no limits of memory, CPU and processes: this user can make no control groups; {REMEDY}"

    def hold(self, spec: Spec) -> Hold:
        """What the process of a job is to do; its groups need not be there yet."""
        nice = NICE if spec.limits.yields else 0
        if self.hierarchy is None:
            return Hold(files=spec.limits.files, pids=spec.limits.pids, nice=nice)
        nice = nice if "cpu" in self.hierarchy.lacks else 0
        return Hold(self.hierarchy.at(spec.id).entries, spec.limits.files, nice=nice)

    def make(self, spec: Spec) -> None:
        """The groups for a run of a job, written down first. Blocks for a moment. NotStarted: the kernel refuses."""
        if self.hierarchy is None:
            return
        end(spec.dir)  # A daemon that was killed while it gave the job others (`give`) has left them.
        try:
            _save(spec.dir, self.hierarchy.at(spec.id))
            fresh(self.hierarchy, spec.id, spec.limits)
        except OSError as error:
            raise NotStarted(f"its control group could not be made: {error.filename}: {error.strerror}") from None

    def reserve(self, dir: Path, name: str) -> Hold:
        """Groups of that name without limits, written down in `dir` first, for what waits there to be a job's; what its
        process is to do. As `make`."""
        if self.hierarchy is None:
            return Hold()
        try:
            group = self.hierarchy.at(name)
            _save(dir, group)
            fresh(self.hierarchy, name, Limits())
        except OSError as error:
            raise NotStarted(f"no control group could be made: {error.filename}: {error.strerror}") from None
        return Hold(group.entries)

    def give(self, spec: Spec, dir: Path) -> None:
        """The groups made for what was kept in `dir` are the job's from now on, with its limits. As `make`."""
        group = group_of(dir)
        if group is None:
            return
        try:
            _save(spec.dir, group)
            (dir / "cgroup").unlink()
            group.limit(spec.limits)
        except OSError as error:
            raise NotStarted(f"its control group could not be had: {error.filename}: {error.strerror}") from None

    def _try(self, hierarchy: Hierarchy) -> str:
        """Why no group can be made; empty if one can."""
        jobs = self.data / "jobs"
        sweep(hierarchy, _named(jobs.iterdir()) if jobs.is_dir() else ())
        try:
            remove(fresh(hierarchy, "probe", Limits(memory=64, cpus=1.0, pids=64)))
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        return ""


class _Saved(msgspec.Struct, frozen=True):
    version: int
    dirs: dict[str, str]


def _named(dirs: Iterable[Path]) -> set[str]:
    """The names of the groups that these jobs have, or had."""
    found = {dir: group_of(dir) for dir in dirs}
    return {group.dirs[0].name if group else dir.name for dir, group in found.items()}


def _save(dir: Path, group: Group) -> None:
    by = group.by if isinstance(group, Group1) else {"": group.dirs[0]}
    saved = _Saved(1 if isinstance(group, Group1) else 2, {name: str(path) for name, path in by.items()})
    (dir / "cgroup").write_bytes(msgspec.json.encode(saved))


def group_of(dir: Path) -> Group | None:
    """The group of the job of this directory, as it was written down; None: it has none."""
    try:
        saved = msgspec.json.decode((dir / "cgroup").read_bytes(), type=_Saved)
        by = {name: Path(path) for name, path in saved.dirs.items()}
        return Group1(by) if saved.version == 1 else Group2(by[""])
    except (OSError, msgspec.DecodeError, KeyError):
        return None


def end(dir: Path) -> None:
    """Kill all in the group of a job, and remove it. Blocks for a moment."""
    if group := group_of(dir):
        remove(group)
        (dir / "cgroup").unlink(missing_ok=True)


async def refusals(dir: Path) -> int:
    """How often a job was refused one more process; 0 where no group of ours limits them."""

    def count() -> int:
        group = group_of(dir)
        return group.refusals() if group else 0

    return await asyncio.to_thread(count)


async def oom_kills(dir: Path) -> Kills:
    """What of a job was killed for want of memory."""

    def count() -> Kills:
        group = group_of(dir)
        return group.oom_kills() if group else Kills()

    return await asyncio.to_thread(count)

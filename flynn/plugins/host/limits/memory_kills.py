"""What the kernel counts of processes that it ended because their cgroup was over its limit (cgroups(7), v1 and v2)."""

import contextlib
from pathlib import Path


def killed_for_memory(pid: int) -> int:
    """How many processes of the cgroups of this one the kernel has ended for their memory limit."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            number, controllers, place = line.split(":", 2)
            if number == "0" or "memory" in controllers.split(","):
                file = f"memory{place}/memory.oom_control" if controllers else f"{place[1:]}/memory.events"
                found = _counted(Path("/sys/fs/cgroup", file))
                if found is not None:
                    return found
    return 0


def _counted(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None

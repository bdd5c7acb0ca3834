"""What control groups count of a job, in either version (Linux, admin-guide/cgroup-v1 and cgroup-v2)."""

from collections.abc import Mapping

from flynn.plugins.host.usage.kernel import number, text, value, whole
from flynn.plugins.host.usage.reading import Reading


def read_groups(groups: Mapping[str, str]) -> Reading:
    """What they tell. Where both versions are mounted, the one that has the controller."""
    memory = memory1(groups.get("memory", "")) if "memory" in groups else None
    second = groups.get("")
    if second is not None and memory is None:
        memory = memory2(second)
    cpu = cpu1(groups.get("cpuacct", groups.get("cpu", ""))) if groups.keys() & {"cpuacct", "cpu"} else None
    if second is not None and cpu is None:
        cpu = cpu2(second)
    read, written = moved(text(f"{second}/io.stat")) if second is not None else (None, None)
    return Reading(cpu, memory, memory is not None, read, written)


def members(groups: Mapping[str, str]) -> list[int]:
    """The processes in the groups, which all have the same."""
    for dir in groups.values():
        if found := [int(pid) for pid in text(f"{dir}/cgroup.procs").split() if pid.isdigit()]:
            return found
    return []


def memory1(dir: str) -> int | None:
    used = number(f"{dir}/memory.usage_in_bytes")
    return None if used is None else used - _dropped(used, text(f"{dir}/memory.stat"), "total_inactive_file")


def memory2(dir: str) -> int | None:
    used = number(f"{dir}/memory.current")
    return None if used is None else used - _dropped(used, text(f"{dir}/memory.stat"), "inactive_file")


def cpu1(dir: str) -> float | None:
    """Seconds, where the hierarchy counts them (it is often mounted together with that which limits CPU)."""
    used = number(f"{dir}/cpuacct.usage")
    return None if used is None else used / 1e9


def cpu2(dir: str) -> float | None:
    used = value(text(f"{dir}/cpu.stat"), "usage_usec")
    return None if used is None else used / 1e6


def moved(table: str) -> tuple[int | None, int | None]:
    """Bytes read and written, of io.stat: `8:0 rbytes=1 wbytes=2 ...` for each device."""
    if not table:
        return None, None
    pairs = [word.partition("=") for word in table.split()]
    return tuple(sum(whole(n) or 0 for name, _, n in pairs if name == wanted) for wanted in ("rbytes", "wbytes"))  # type: ignore[return-value]


def _dropped(used: int, table: str, name: str) -> int:
    """What the kernel would drop at once: files that were read a while ago."""
    return min(value(table, name) or 0, used)

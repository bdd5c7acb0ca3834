"""The looks of what jobs and machines take. Pure."""

from collections.abc import Mapping, Sequence

from flynn.cli.words import count, size, span, table
from flynn.core.records import HostDetail
from flynn.core.usage import HostUsage, JobUsage

MIB = 1024 * 1024


def columns(used: Sequence[JobUsage | None]) -> list[tuple[str, ...]]:
    """The cells of each job, CPU and memory, to the right; no cells where nothing is known of any."""
    if not any(used):
        return [() for _ in used]
    return list(zip(right([cpu(job) for job in used]), right([memory(job) for job in used]), strict=True))


def cpu(used: JobUsage | None) -> str:
    """`12 %` of a core."""
    return "" if used is None or used.percent is None else percent(used.percent)


def memory(used: JobUsage | None) -> str:
    """`34 of 512 MiB`, or `34 MiB` where nothing holds it to a limit."""
    if used is None or used.memory is None:
        return ""
    taken = -(-used.memory // MIB)
    return f"{taken} of {used.limit // MIB} MiB" if used.limit else f"{taken} MiB"


def percent(value: float) -> str:
    """`0 %`, `0.4 %`, `12 %`."""
    return f"{value:.1f} %" if 0.05 <= value < 9.95 else f"{value:.0f} %"


def right(cells: Sequence[str]) -> list[str]:
    """The cells, as wide as the widest."""
    width = max(map(len, cells), default=0)
    return [cell.rjust(width) for cell in cells]


def silent(hosts: Mapping[str, str]) -> list[str]:
    """The hosts of whose jobs CPU and memory are not known, and why."""
    return [f"no CPU and memory from {name}: {why}" for name, why in sorted(hosts.items())]


def host(found: HostDetail, now: float) -> list[str]:
    """One machine: what it is, and, if it answers, what is left of it."""
    rows = [
        ("address", found.address),
        ("up", f"{span(now - found.started)}, version {found.version}"),
        ("backend", found.backend + (f": {found.lacks}" if found.lacks else "")),
        ("images", "yes" if found.images else "no: it has no Docker Engine that works with flynn"),
        ("networks", _networks(found.networks, found.no_own)),
        ("jobs", f"{count(found.jobs, 'job')}, which reserve {found.reserved} of {found.memory} MiB"),
    ]
    if found.images and found.backend != "docker":
        rows.insert(-1, ("in containers", _networks(found.image_networks, found.image_no_own)))
    rows += [("tags", " ".join(f"{key}={value}" for key, value in sorted(found.tags.items())))] if found.tags else []
    rows += [("mounts", ", ".join(found.mounts))] if found.mounts else []
    rows += [("drained", f"since {span(now - found.drained)}: it takes no new job")] if found.drained else []
    now_rows = _now(found.usage) if found.usage else [("now", f"not known: {found.silent}")]
    return [f"=== {found.name}", *table([*rows, *now_rows])]


def _networks(offered: Sequence[str], no_own: str) -> str:
    return ", ".join(offered) + (f"; none of a job's own: {no_own}" if no_own else "")


def _now(used: HostUsage) -> list[tuple[str, str]]:
    taken = "not known" if used.percent is None else percent(used.percent)
    return [
        ("cpu", f"{taken} of {count(used.cpus, 'core')}"),
        ("load", ", ".join(f"{load:.1f}" for load in used.load) + " (1, 5, 15 minutes)"),
        ("memory", f"{size(used.memory_free)} of {size(used.memory)} free"),
        ("disk", f"{size(used.disk_free)} of {size(used.disk)} free"),
        ("pressure", _pressure(used)),
    ]


def _pressure(used: HostUsage) -> str:
    """For how much of the last minute something waited."""
    if used.pressure is None:
        return "not known: the kernel of this host does not tell"
    return ", ".join(f"{name} {percent(told.some)}" for name, told in used.pressure.items()) + " of the last minute"

"""What the kernel counts of single processes (proc(5)), added up for a job."""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from flynn.plugins.host.usage.kernel import text, value
from flynn.plugins.host.usage.reading import Reading

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

PROC = "/proc"


class Process(NamedTuple):
    """`cpu`: ticks, with those of children that have ended and were waited for. `memory`: pages, those it shares too.

    `dead`: it has ended, and was not waited for yet.
    """

    parent: int
    session: int
    cpu: int
    memory: int
    dead: bool = False


def parse(stat: str) -> Process | None:
    """Of /proc/PID/stat; None: it is none. The name may have anything in it, brackets among it."""
    words = stat[stat.rfind(")") + 2 :].split()
    try:
        parent, session = int(words[1]), int(words[3])
        return Process(parent, session, sum(map(int, words[11:15])), max(int(words[21]), 0), words[0] in "ZX")
    except (IndexError, ValueError):
        return None


def scan(proc: str = PROC) -> dict[int, Process]:
    """All processes of the machine."""
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return {}
    return look(pids, proc)


def look(pids: Iterable[int], proc: str = PROC) -> dict[int, Process]:
    """Those that are there."""
    seen = {pid: parse(text(f"{proc}/{pid}/stat")) for pid in pids}
    return {pid: process for pid, process in seen.items() if process}


def tree(root: int, processes: Mapping[int, Process], children: Mapping[int, list[int]]) -> set[int]:
    """A process, all that descend from it, and what is left of its session. Empty if it is not there."""
    if root not in processes:
        return set()
    found = {root} | {pid for pid, process in processes.items() if process.session == root}
    waiting = list(found)
    while waiting:
        new = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(new)
        waiting.extend(new)
    return found


def children(processes: Mapping[int, Process]) -> dict[int, list[int]]:
    """By parent."""
    found: dict[int, list[int]] = {}
    for pid, process in processes.items():
        found.setdefault(process.parent, []).append(pid)
    return found


def total(pids: Collection[int], processes: Mapping[int, Process], known: Reading, proc: str = PROC) -> Reading:
    """What these processes take together, as far as it is not `known`. `processes`: as they were just seen."""
    seen = [processes[pid] for pid in pids if pid in processes]
    pids = [pid for pid in pids if pid not in processes or not processes[pid].dead]
    read, written = _moved(pids, proc) if known.read is None else (None, None)
    return known.beside(
        Reading(
            cpu=sum(process.cpu for process in seen) / TICK if seen else None,
            memory=sum(process.memory for process in seen) * PAGE if seen else None,
            read=read,
            written=written,
            files=_added(_files(f"{proc}/{pid}/fd") for pid in pids) if pids else None,
            processes=len(pids),
        )
    )


def _moved(pids: Iterable[int], proc: str) -> tuple[int | None, int | None]:
    """Bytes read from disks and written, with those of children that have ended and were waited for."""
    read = {pid: text(f"{proc}/{pid}/io") for pid in pids}
    tables = [table for pid, table in read.items() if table or os.path.exists(f"{proc}/{pid}")]
    pairs = [(value(table, "read_bytes:"), value(table, "write_bytes:")) for table in tables]
    return (_added(read for read, _ in pairs), _added(written for _, written in pairs)) if pairs else (None, None)


def _files(dir: str) -> int | None:
    """Open files: a directory's size since Linux 6.2, else so many entries. None: they may not be seen."""
    try:
        return os.stat(dir).st_size or len(os.listdir(dir))
    except FileNotFoundError:
        return 0
    except OSError:
        return None


def _added(counts: Iterable[int | None]) -> int | None:
    """None if one is not known: a part of it would be a wrong number."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total

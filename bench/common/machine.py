"""The two cores that are used, and what the kernel knows of a process."""

import os
import re
import resource
from collections.abc import Iterable
from pathlib import Path

from bench.common.errors import NotMeasured

PAGE = os.sysconf("SC_PAGE_SIZE")

_CORES = sorted(os.sched_getaffinity(0))


def cores() -> tuple[int, int]:
    """The core of what is measured alone, and that of all else. NotMeasured: there are not two."""
    if len(_CORES) < 2:
        raise NotMeasured("two cores are needed: one for what is measured, one for the load and what else there is")
    return _CORES[0], _CORES[1]


def settle_here(alone: bool = True) -> int:
    """Keep this process, and all that it starts, to the two cores, and let it have many files: how many.

    `alone`: to the second one, so that what is measured has the first for itself.
    """
    os.sched_setaffinity(0, cores()[1:] if alone else cores())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def cpu_ns(pids: Iterable[int]) -> int:
    """Nanoseconds that all threads of these processes have run, the kernel's part included."""
    return sum(_thread_ns(task) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())


def _thread_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except OSError:
        return 0


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes have resident."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in pids)


def described() -> str:
    """`AMD EPYC, 2 cores, Linux 6.1`."""
    told = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    kernel = ".".join(os.uname().release.split("-")[0].split(".")[:2])
    return f"{told[1] if told else os.uname().machine}, {os.cpu_count()} cores, Linux {kernel}"

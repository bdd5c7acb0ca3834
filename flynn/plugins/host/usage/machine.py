"""What the machine has, and what of it is left. Blocks for a moment: a file system may be slow to answer."""

import os
from pathlib import Path

import psutil

from flynn.core.usage import HostUsage
from flynn.plugins.host.usage.pressure import pressure


def see(data: Path) -> HostUsage:
    """This machine; the disk is that of `data`."""
    memory = psutil.virtual_memory()
    disk = os.statvfs(data)
    return HostUsage(
        cpus=os.cpu_count() or 1,
        load=os.getloadavg(),
        memory=memory.total,
        memory_free=memory.available,
        disk=disk.f_blocks * disk.f_frsize,
        disk_free=disk.f_bavail * disk.f_frsize,
        cpu=_busy(),
        pressure=pressure(),
    )


def _busy() -> float:
    """All that is counted but for idling; what guests take is in the time of users already (proc(5), /proc/stat)."""
    times: dict[str, float] = psutil.cpu_times()._asdict()
    return sum(seconds for name, seconds in times.items() if name not in ("idle", "iowait", "guest", "guest_nice"))

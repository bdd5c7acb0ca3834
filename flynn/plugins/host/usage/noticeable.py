"""Whether a host's load has changed so that the grid should know: each write wakes every node. Pure."""

from flynn.core.model import Load

PART = 20
"""The part of a whole (memory, disk) that is worth telling: one of so many."""

LEFT = 5
"""The part of what was left that is: so that little is told more exactly than much."""


def noticeable(told: Load, now: Load, cpus: int, memory: int) -> bool:
    """Whether `now` is worth a write after `told`. `cpus`, `memory` (MiB): what the machine has."""
    return (
        abs(now.load - told.load) >= max(cpus / 4, 0.5)
        or _far(told.memory_free, now.memory_free, memory)
        or _far(told.disk_free, now.disk_free, told.disk)
        or now.disk != told.disk
    )


def _far(told: int, now: int, whole: int) -> bool:
    return abs(now - told) > min(whole / PART, told / LEFT)

"""What of a host's disk may be used for what, when it counts as nearly full, and what goes then. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from flynn.core.room import Room, share, words

RESERVE, RESERVE_PART = 1024, 10
"""MiB that stay free unless told otherwise; of a small disk this part."""

BUDGET, BUDGET_PART = 12 * 1024, 2
"""MiB that the host agent may keep unless told otherwise; of a small disk this part."""

FILES, FILES_PART = 50_000, 20
"""How many more files there must be room for; where there can be few, this part of all."""


@dataclass(frozen=True)
class Marks:
    """Bytes, and files, below which a disk is nearly full."""

    free: int
    files: int = 0

    @property
    def eased(self) -> "Marks":
        """What there must be again until it is not nearly full any more: else it would be both in turn."""
        return Marks(self.free * 5 // 4, self.files * 5 // 4)

    @property
    def wanted(self) -> "Marks":
        """What is made room for, once there is less than `eased`."""
        return Marks(self.free * 3 // 2, self.files * 3 // 2)


def marks(room: Room, told: int) -> Marks:
    """`told`: the MiB that shall stay free, 0 what is usual."""
    return Marks(share(told, RESERVE, RESERVE_PART, room.size), min(FILES, room.files // FILES_PART))


def budget(room: Room, told: int) -> int:
    """Bytes that the host agent may keep. `told` in MiB, 0 what is usual."""
    return share(told, BUDGET, BUDGET_PART, room.size)


def is_below(room: Room, marks: Marks) -> bool:
    return room.free < marks.free or (room.files > 0 and room.free_files < marks.files)


def trouble(room: Room, marks: Marks, before: str) -> str:
    """Why no new job may start, in words that stay while it lasts; empty: one may. `before`: what this said last."""
    if not is_below(room, marks.eased if before else marks):
        return ""
    if before:
        return before
    if room.free < marks.free:
        told = f"{words(room.free)} free of {words(room.size)}, reserve {words(marks.free)}"
    else:
        told = f"room for {room.free_files} more files of {room.files}, reserve {marks.files}"
    return f"its disk is nearly full ({told})"


@dataclass(frozen=True)
class Kept:
    """Something on disk that can be had again: an unpacked layer, a build's cache. `used`: when it was last (epoch)."""

    kind: str
    name: str
    size: int
    used: float


def excess(room: Room, marks: Marks, kept: int, budget: int) -> int:
    """Bytes of what is kept that should go: what is over the budget, or lacks on the disk. All sizes in bytes."""
    over = max(kept - budget, 0)
    if not is_below(room, marks.eased):
        return over
    return max(over, marks.wanted.free - room.free, 1)  # Files may be what lacks: then one thing goes, and one more.


def to_go(kept: Iterable[Kept], excess: int) -> list[Kept]:
    """Which of those that nobody uses go, so that `excess` bytes are freed: the longest unused first."""
    gone = []
    for one in sorted(kept, key=lambda one: (one.used, one.name)):
        if excess <= 0:
            break
        gone.append(one)
        excess -= one.size
    return gone

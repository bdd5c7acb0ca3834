"""A raw file that a job's process writes to, and the room that it takes on disk and finds there."""

from collections.abc import Callable
from pathlib import Path

from flynn.plugins.host.logs.sparse import free_start, hold_room, waiting

FREED = 256 * 1024
"""Bytes that are given back at once."""

AHEAD = 64 * 1024
"""Bytes that a job finds free when it goes on printing, though the disk is full."""

LAST, MUCH = 8 * 1024, 1024 * 1024
"""Bytes that are left when the disk is full and the room ahead is used up: so a job that goes on printing makes room
for itself. Where there is much, only the older half goes, which may be enough for the log."""

TOO_FAST = "the job prints faster than can be kept"
NO_SPACE = "the disk of its host was full"
NOT_WRITTEN = "the log could not be written"


class Raw:
    """All methods but `size` block. `why`: for what reason something of it was dropped. `spare`: how much of so many
    bytes at its start nobody else reads, so that they may be given back."""

    def __init__(self, path: Path, spare: Callable[[int], int] = lambda size: size) -> None:
        self.path, self.spare, self.why = path, spare, TOO_FAST
        self._freed = self._held = 0

    def size(self) -> int:
        """Bytes printed so far; 0 if there is no file."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def emptied(self) -> None:
        """The process has emptied it."""
        self._freed = self._held = 0

    def free(self, taken: int) -> None:
        """Give back the space of what was taken in, a piece at a time."""
        if (spare := self.spare(taken)) - self._freed >= FREED:
            free_start(self.path, spare)
            self._freed = spare

    def hold_room(self, size: int) -> bool:
        """Whether the job finds room to go on from `size`; a little is tried for at least."""
        if size <= self._held - AHEAD // 2:
            return True
        for room in (AHEAD, AHEAD // 4):
            if hold_room(self.path, size, room):
                self._held = size + room
                return room == AHEAD
        return False

    def give_up(self, size: int, taken: int) -> None:
        """The disk is full: what was taken in, and then what waits, makes room for what is printed next."""
        free_start(self.path, self.spare(taken))
        if self.hold_room(size):
            return
        size, waits = waiting(self.path)
        if waits > LAST:
            free_start(self.path, self.spare(size - (waits // 2 if waits > MUCH else LAST)))
            self.why = NO_SPACE
            self.hold_room(size)

    def dropped(self, stream: str, size: int) -> str:
        """What to say of bytes that are gone."""
        why, self.why = self.why, TOO_FAST
        return f"{size} bytes of {stream} were dropped: {why}"

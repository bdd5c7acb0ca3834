"""Instances whose registration went with their daemon's lease, not by a drain: the process may well live on.

Pure: the time is an argument, in seconds, and never goes back.
"""

from itertools import takewhile

KEPT = 30.0
"""Seconds that an orphan is kept, as a last resort of its service."""


class Orphans:
    """The keys (`SERVICE/INSTANCE`) of those kept now."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        """When the time of each is over. All have the same, so the first to come is the first to go."""

    def __contains__(self, key: str) -> bool:
        return key in self._until

    def add(self, key: str, now: float) -> None:
        """This one has just lost its registration."""
        self._until[key] = now + KEPT

    def discard(self, key: str) -> bool:
        """This one is registered again, or has ended; whether it was an orphan."""
        return self._until.pop(key, None) is not None

    def expire(self, now: float) -> list[str]:
        """Forget those whose time is over; their keys."""
        over = list(takewhile(lambda key: self._until[key] <= now, self._until))
        for key in over:
            del self._until[key]
        return over

"""The photos that were heard of and not looked at yet: what happened from each to the next is to be found out. Pure."""

from collections import deque
from dataclasses import dataclass, field

from flynn.core.facts import Facts

MOST = 1000
"""Commits that wait. What happens by those beyond is looked at as if they had been one, so that what comes and goes
meanwhile is not told; nothing that stays is missed."""

Step = tuple[Facts, Facts, float]
"""A photo, the next one, and when that was heard of."""


@dataclass(eq=False)
class Heard:
    """`last` is the newest photo."""

    last: Facts = field(default_factory=Facts)
    most: int = MOST
    _steps: deque[Step] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._steps)

    def begin(self, facts: Facts) -> None:
        """What happened until this photo is known."""
        self.last = facts
        self._steps.clear()

    def hear(self, facts: Facts, now: float) -> None:
        """One more commit."""
        before = self._steps.pop()[0] if len(self._steps) >= self.most else self.last
        self._steps.append((before, facts, now))
        self.last = facts

    def next(self) -> Step:
        """The oldest step, to be looked at now. IndexError: there is none."""
        return self._steps.popleft()

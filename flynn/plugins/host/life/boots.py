"""How long instances take until they are well, learnt from those before. They are looked at rarely until it is about
time, and then often: each look takes from the core on which one may boot, and who looks rarely finds it late."""

from dataclasses import dataclass, field
from typing import NamedTuple

from flynn.core.model import Job

MOST = 1000
"""Kinds of which it is known: types of apps. The one that nobody asked for the longest is forgotten."""

LAST = 3
"""Instances of a kind whose times are known: the next takes about as long as one of them."""

ABOUT = (0.9, 1.2)
"""From which part of the shortest time on it is about time, and until which part of the longest."""

OFTEN, LEAST = 1 / 200, 0.0005
"""Of the shortest time is the pause between two looks then; seconds that it is at least."""

RARELY, MOST_RARELY = 1 / 8, 0.1
"""Of the shortest time is the pause before, at most; seconds that it is at most."""

Kind = tuple[str, str]


class Span(NamedTuple):
    """The shortest and the longest of some times, in seconds; zeros: none is known."""

    least: float = 0.0
    most: float = 0.0


@dataclass(eq=False)
class Boots:
    """What the last instances of each kind took."""

    _last: dict[Kind, tuple[float, ...]] = field(default_factory=dict)

    def expected(self, job: Job) -> Span:
        """What one of this kind takes."""
        kind = job.app, job.type
        found = self._last.pop(kind, ())
        if not found:
            return Span()
        self._last[kind] = found
        return Span(min(found), max(found))

    def learn(self, job: Job, seconds: float) -> None:
        """One has taken so long."""
        kind = job.app, job.type
        known = self._last.pop(kind, ())
        if not known and len(self._last) >= MOST:
            del self._last[next(iter(self._last))]
        self._last[kind] = (*known, seconds)[-LAST:]


def pause(expected: Span, waited: float, unknown: float) -> float:
    """Seconds until the next look at one that has been waited for so long; `unknown`: where nothing is known."""
    begins, ends = expected.least * ABOUT[0], expected.most * ABOUT[1]
    if waited >= ends:
        return unknown
    often = min(max(expected.least * OFTEN, LEAST), unknown)
    rarely = max(min(expected.least * RARELY, MOST_RARELY), unknown)
    return often if waited >= begins else max(min(begins - waited, rarely), often)

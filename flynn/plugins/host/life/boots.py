"""How long instances take until they are well, learnt from those before. They are looked at rarely until it is about
time, and then often: each look takes from the core on which one may boot, and who looks rarely finds it late."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from flynn.core.model import Job

MOST = 1000
"""Kinds of which it is known: types of apps. The one that nobody asked for the longest is forgotten."""

LAST = 3
"""Instances of a kind whose times are known: the next takes about as long as one of them."""

ABOUT = (0.9, 1.2)
"""From which part of the shortest time on it is about time, and until which part of the longest."""

OFTEN = 1 / 200
"""Of the time waited, or of the shortest time if that is more, is the pause between two looks then."""

RARELY, MOST_RARELY = 1 / 8, 0.1
"""Of the shortest time is the pause before, at most; seconds that it is at most."""

Kind = tuple[str, str]


class Span(NamedTuple):
    """The shortest and the longest of some times, in seconds; zeros: none is known."""

    least: float = 0.0
    most: float = 0.0


@dataclass(eq=False)
class Boots:
    """What the last instances of each kind took. `booting`: how many there are that are waited for now."""

    booting: int = 0
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


@contextmanager
def counted(boots: Boots) -> Iterator[None]:
    """One more is waited for, until the block ends."""
    boots.booting += 1
    try:
        yield
    finally:
        boots.booting -= 1


def pause(expected: Span, waited: float, unknown: float, least: float) -> float:
    """Seconds until the next look at one that has been waited for so long, `least` at least if possible; `unknown`:
    where nothing is known."""
    begins, ends = expected.least * ABOUT[0], expected.most * ABOUT[1]
    if waited >= ends:
        return unknown
    often = min(max(waited * OFTEN, expected.least * OFTEN, least), unknown)
    rarely = max(min(expected.least * RARELY, MOST_RARELY), unknown)
    return often if waited >= begins else max(min(begins - waited, rarely), often)

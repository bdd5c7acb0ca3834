"""Which of its instances a service's next request goes to. Pure: time and chance are arguments.

Two are drawn by chance, and the one that would answer sooner is taken: fewer requests in flight, each of which takes as
long as its answers took of late. An instance that fails is set aside for some seconds, then asked again by one request
each time these seconds have passed, until it answers.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

ASIDE = (5.0, 10.0)
"""Seconds that a failing instance is left out: the first time, and each time after a failed trial."""

STRIKES = 2
"""Failures, less what answers make good, with which an instance is set aside."""

AMENDS = 0.1
"""What one answer makes good of a failure: so one that fails now and then for ever, more than once in ten times or so,
is set aside as well, and one that hardly ever does is not."""

WEIGHT = 0.1
"""What the last answer counts in an instance's pace."""

SURPRISE = 8.0
"""Times its pace that one answer counts at most: one slow request in a thousand says nothing of the instance, and must
not starve it for long; ten slow ones in a row do say something."""

PACE = 0.001
"""Seconds below which paces count as equal, and the pace of an instance that was not asked yet."""

LOOK = 0x3F0000
"""Bits of a draw that are all zero one time in 64: then the first drawn is taken, however slow it was, so that one that
has become fast again is noticed."""


class Load:
    """What is known of one instance. Failures count in `strikes`; `aside` is 0, or when the next trial is due; `pace`
    is how long an answer takes to begin, in seconds, smoothed."""

    __slots__ = ("aside", "in_flight", "pace", "strikes")

    def __init__(self) -> None:
        self.in_flight = 0
        self.strikes = 0.0
        self.aside = 0.0
        self.pace = 0.0

    def failed(self, now: float, strikes: int = 1) -> None:
        """A request failed here. `strikes` is how much it says against the instance."""
        self.strikes += strikes
        if self.strikes >= STRIKES:
            self.aside = now + ASIDE[1 if self.aside else 0]

    def paced(self, seconds: float) -> None:
        """An answer took so long to begin."""
        pace = self.pace
        if seconds > (most := SURPRISE * (pace + PACE)):
            seconds = most
        self.pace = pace + (seconds - pace) * WEIGHT

    def answered(self) -> None:
        """A request was answered here. That ends a trial; then one failure is enough to set it aside again."""
        self.strikes = STRIKES - 1 if self.aside else max(self.strikes - AMENDS, 0)
        self.aside = 0.0


L = TypeVar("L", bound=Load)


def choose(loads: Sequence[L], tried: Collection[L], now: float, draw: Callable[[int], int]) -> L | None:
    """The one to ask, never one of `tried`; None when there is no other. `draw(n)` gives n bits by chance.

    When all others are set aside, one of these is better than none.
    """
    if tried:
        loads = _fit(loads, tried, now)
    count = len(loads)
    if count < 2:
        return loads[0] if count else None
    drawn = draw(40)
    at = (drawn & 0xFFFF) % count
    pick, other = loads[at], loads[at - 1 - (drawn >> 24) % (count - 1)]
    if pick.pace and other.pace:
        later = (pick.pace + PACE) * (pick.in_flight + 1) > (other.pace + PACE) * (other.in_flight + 1)
    else:
        # Of one that never answered nothing is known: it may hang, and is not to be taken for a quick one.
        later = pick.in_flight > other.in_flight
    if later and drawn & LOOK:
        pick = other
    if pick.aside and not tried and len(fit := _fit(loads, (), now)) != count:
        return choose(fit, (), now, draw)
    return pick


def _fit(loads: Sequence[L], tried: Collection[L], now: float) -> Sequence[L]:
    """Those that may be asked: one whose trial is due, alone; or all that are well; or all, if none is."""
    left = [load for load in loads if load not in tried]
    for load in left:
        if load.aside and load.aside <= now:
            load.aside = now + ASIDE[0]
            return [load]
    return [load for load in left if not load.aside] or left

"""Which of its instances a service's next request goes to. Pure: time and chance are arguments.

Two are drawn by chance and the one with fewer requests in flight is taken. An instance that fails is set aside for
some seconds, then asked again by one request each time these seconds have passed, until it answers.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

ASIDE = (5.0, 10.0)
"""Seconds that a failing instance is left out: the first time, and each time after a failed trial."""

STRIKES = 2
"""Failures in a row, with no answer between them, after which an instance is set aside."""


class Load:
    """What is known of one instance. Failures count in `strikes`; `aside` is 0, or when the next trial is due."""

    __slots__ = ("aside", "in_flight", "strikes")

    def __init__(self) -> None:
        self.in_flight = 0
        self.strikes = 0
        self.aside = 0.0

    def failed(self, now: float, strikes: int = 1) -> None:
        """A request failed here. `strikes` is how much it says against the instance."""
        self.strikes += strikes
        if self.strikes >= STRIKES:
            self.aside = now + ASIDE[1 if self.aside else 0]

    def answered(self) -> None:
        """A request was answered here: all is well."""
        self.strikes = 0
        self.aside = 0.0


L = TypeVar("L", bound=Load)


def choose(loads: Sequence[L], tried: Collection[L], now: float, chance: Callable[[], float]) -> L | None:
    """The one to ask, never one of `tried`; None when there is no other. `chance()` is from 0 up to 1.

    When all others are set aside, one of these is better than none.
    """
    if not tried:
        pick = _lighter(loads, chance) if loads else None
        if pick is None or not pick.aside or len(loads) == 1:
            return pick
    left = [load for load in loads if load not in tried]
    for load in left:
        if load.aside and load.aside <= now:
            load.aside = now + ASIDE[0]
            return load
    well = [load for load in left if not load.aside]
    return _lighter(well or left, chance) if left else None


def _lighter(loads: Sequence[L], chance: Callable[[], float]) -> L:
    count = len(loads)
    if count == 1:
        return loads[0]
    one = int(chance() * count)
    other = int(chance() * (count - 1))
    a, b = loads[one], loads[other + (other >= one)]
    return a if a.in_flight <= b.in_flight else b

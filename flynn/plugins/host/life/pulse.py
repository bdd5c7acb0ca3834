"""Whether a job counts as well, from one check to the next: two results in a row turn it. Pure."""

from dataclasses import dataclass

from flynn.core.model import Check

FLIP = 2
"""Results in a row that make a job which was well one that is not, and back."""


@dataclass(frozen=True)
class Pulse:
    """`against`: results in a row that say the opposite of `well`. `since`: when it was last found to be as it is."""

    well: bool = True
    against: int = 0
    since: float = 0.0

    def after(self, good: bool, now: float) -> "Pulse":
        """The pulse after one more result; `now` on a clock that never jumps."""
        if good == self.well:
            return Pulse(self.well, 0, self.since)
        if self.against + 1 < FLIP:
            return Pulse(self.well, self.against + 1, self.since)
        return Pulse(good, 0, now)

    def lost(self, check: Check, now: float) -> bool:
        """Whether it has not been well for as long as it may be."""
        return not self.well and 0 < check.kill_after <= now - self.since

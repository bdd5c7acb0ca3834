"""How much of a core is used lately: what was counted at two moments, neither too close nor too far apart. Pure."""

from dataclasses import dataclass

SHORT, LONG = 0.25, 30.0
"""Seconds that may lie between the two: within less a count says nothing, after more it says nothing of now."""


@dataclass(frozen=True)
class Pace:
    """`at`, `cpu`: the moment that the next one is compared with, and the seconds of CPU counted then."""

    at: float
    cpu: float
    percent: float | None = None

    def after(self, at: float, cpu: float) -> "Pace":
        """The pace once `cpu` seconds are counted. Less than before (some ended unseen) is standing still."""
        passed = at - self.at
        if passed < SHORT:
            return self
        return Pace(at, cpu, 100 * max(cpu - self.cpu, 0.0) / passed if passed <= LONG else None)

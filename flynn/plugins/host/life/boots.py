"""How long instances take until they are well, learnt from those before. They are looked at rarely until it is about
time, and then often: each look takes from the core on which one may boot, and who looks rarely finds it late."""

from dataclasses import dataclass, field

from flynn.core.model import Job

MOST = 1000
"""Kinds of which it is known: types of apps. The one that nobody asked for the longest is forgotten."""

ABOUT = (0.9, 1.2)
"""From which part of the expected time on it is about time, and until when."""

OFTEN, LEAST = 1 / 200, 0.0005
"""Of the expected time is the pause between two looks then; seconds that it is at least."""

RARELY, MOST_RARELY = 1 / 8, 0.1
"""Of the expected time is the pause before, at most; seconds that it is at most."""

Kind = tuple[str, str]


@dataclass(eq=False)
class Boots:
    """Seconds that the last instance of each kind took."""

    _last: dict[Kind, float] = field(default_factory=dict)

    def expected(self, job: Job) -> float:
        """Seconds that one of this kind takes; 0: nobody knows."""
        kind = job.app, job.type
        found = self._last.pop(kind, 0.0)
        if found:
            self._last[kind] = found
        return found

    def learn(self, job: Job, seconds: float) -> None:
        """One has taken so long."""
        if not self.expected(job) and len(self._last) >= MOST:
            del self._last[next(iter(self._last))]
        self._last[job.app, job.type] = seconds


def pause(expected: float, waited: float, unknown: float) -> float:
    """Seconds until the next look at one that has been waited for so long; `unknown`: where nothing is known."""
    begins, ends = (expected * part for part in ABOUT)
    if waited >= ends:
        return unknown
    often = min(max(expected * OFTEN, LEAST), unknown)
    rarely = max(min(expected * RARELY, MOST_RARELY), unknown)
    return often if waited >= begins else max(min(begins - waited, rarely), often)

"""How a job ended, in words, and what becomes of it then. Pure."""

import signal
from dataclasses import dataclass

from flynn.core.model import Failure

STABLE = 300.0
"""Seconds of being up after which a job's earlier failures are forgotten."""

LONGEST = 300.0
"""Seconds between two restarts at most."""


@dataclass(frozen=True)
class Ending:
    """How a process came to its end. `code` None: it had to be killed, or nobody knows."""

    failure: Failure
    reason: str
    code: int | None = None


@dataclass(frozen=True)
class Restart:
    """Restart number `number` shall begin after `pause` seconds; the first failure of the row was `failing` seconds
    ago."""

    number: int
    pause: float
    failing: float = 0.0

    def after(self, reason: str) -> str:
        """The reason of the failure, and of the wait if there is one."""
        if not self.pause:
            return reason
        done = f"{self.number - 1} restarts in {_span(self.failing)}"
        return f"crash loop: {done}, next try in {_span(self.pause)}: {reason}"


def next_restart(restarts: int, up_for: float, failing: float = 0.0) -> Restart:
    """The restart that follows when a job failed after `restarts` earlier ones, having been up for `up_for` seconds,
    and having failed first `failing` seconds ago."""
    if up_for >= STABLE:
        return Restart(1, 0.0)
    return Restart(restarts + 1, _pause(restarts), failing)


def _pause(done: int) -> float:
    """Seconds before the next restart after so many."""
    for limit, pause in ((5, 0.0), (15, 10.0), (20, 30.0)):
        if done < limit:
            return pause
    return min(60.0 * 2.0 ** min(done - 20, 8), LONGEST)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def describe(code: int | None) -> str:
    """How a process ended: `exited with code 3`, `killed by signal 9 (SIGKILL)`. None: nobody knows."""
    if code is None:
        return "ended while nobody watched"
    try:
        number = signal.Signals(code - 128)
    except ValueError:
        return f"exited with code {code}"
    return f"killed by signal {number.value} ({number.name})"

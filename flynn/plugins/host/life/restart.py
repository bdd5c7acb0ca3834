"""How a job ended, in words, and what becomes of it then. Pure."""

import signal
from dataclasses import dataclass

from flynn.core.model import Failure

STABLE = 300.0
"""Seconds of being up after which a job's earlier failures are forgotten."""


@dataclass(frozen=True)
class Ending:
    """How a process came to its end. `code` None: it had to be killed, or nobody knows."""

    failure: Failure
    reason: str
    code: int | None = None


@dataclass(frozen=True)
class Restart:
    """Restart number `number` shall begin after `pause` seconds."""

    number: int
    pause: float

    def after(self, reason: str) -> str:
        """The reason of the failure, and of the wait if there is one."""
        return f"{reason}; restart {self.number} in {self.pause:g} s" if self.pause else reason


def next_restart(restarts: int, up_for: float) -> Restart:
    """The restart that follows when a job failed after `restarts` earlier ones, having been up for `up_for` seconds."""
    done = 0 if up_for >= STABLE else restarts
    return Restart(done + 1, 0.0 if done < 5 else 10.0 if done < 15 else 30.0)


def describe(code: int | None) -> str:
    """How a process ended: `exited with code 3`, `killed by signal 9 (SIGKILL)`. None: nobody knows."""
    if code is None:
        return "ended while nobody watched"
    try:
        number = signal.Signals(code - 128)
    except ValueError:
        return f"exited with code {code}"
    return f"killed by signal {number.value} ({number.name})"

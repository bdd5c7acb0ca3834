"""Commands of an app that run by the clock, and what became of their runs."""

from typing import Literal

from flynn.core.model.record import Record

Outcome = Literal["waiting", "queued", "running", "done", "failed", "stopped", "lost", "cancelled", "missed", "skipped"]
"""What became of a run. `waiting`: for the end of the run before. `stopped`: by a user, for a service, or as it ran
longer than it may. `missed`: nobody was there to start it. `skipped`: the run before had not ended."""


class Cron(Record, frozen=True, kw_only=True):
    """A command of a release, and when it runs: `schedule` as in cron(5), in the time of `timezone`.

    `missed`: whether the last of the ticks at which nobody led the grid is run afterwards (`once`). `overlap`: what
    becomes of a tick while a run before it has not ended. A run is stopped after `timeout` seconds (0: never). It has
    the limits and the mounts of the process type `type` ("": of one-off jobs), with `limits` over them.
    """

    schedule: str
    command: str
    timezone: str = "UTC"
    missed: Literal["skip", "once"] = "skip"
    overlap: Literal["skip", "queue", "allow"] = "skip"
    timeout: float = 0.0
    type: str = ""
    limits: dict[str, int] = {}


class Run(Record, frozen=True, kw_only=True):
    """One line of a ledger. Times are 0 as long as they have not come; `due` is when it was to begin. `job` is empty if
    there is none. `by_hand`: a user started it. `count`: of how many missed ticks it tells."""

    due: float
    outcome: Outcome
    job: str = ""
    queued: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    exit_code: int | None = None
    reason: str = ""
    by_hand: bool = False
    count: int = 1


class Ledger(Record, frozen=True, kw_only=True):
    """What became of the runs of the entry `name` of an app, oldest first.

    No tick up to `after` is run any more, whatever clocks say. `schedule` (with its time zone) is that of which it is.
    """

    app: str
    name: str
    after: float
    schedule: str
    paused: bool = False
    runs: tuple[Run, ...] = ()

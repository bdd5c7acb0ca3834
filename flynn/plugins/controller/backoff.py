"""Pauses after jobs that could not be started, by app and queue: the next ones would fail alike. Pure."""

from dataclasses import dataclass

from flynn.core import model
from flynn.core.facts import Facts
from flynn.plugins.controller.queue_limits import QueueLimits


@dataclass(frozen=True)
class Pause:
    """Until when no job of an app is started from a queue (epoch seconds), and why."""

    until: float
    reason: str


def pause_of(facts: Facts, app: str, queue: model.Queue, limits: QueueLimits, now: float) -> Pause | None:
    """The pause that an app must make in a queue now. Services are paused by process type, in `formation.py`."""
    if queue == "services" or not limits.retry:
        return None
    failed = in_a_row(facts, app, queue, now)
    if not failed:
        return None
    pause = min(limits.retry * len(failed), limits.retry_most)
    until = failed[-1].since + pause
    if until <= now:
        return None
    those = "the last one" if len(failed) == 1 else f"the last {len(failed)}"
    return Pause(until, f"{those} could not be started ({failed[-1].reason}); the next is tried after {pause:g} s")


def in_a_row(facts: Facts, app: str, queue: model.Queue, now: float) -> list[model.JobState]:
    """The last jobs of an app in a queue, oldest first, that all could not be started, with none since that could.

    What a host says to have been later than now is passed over: its clock is wrong.
    """
    told = [state for state in facts.states_of(app, queue).values() if state.since <= now]
    row: list[model.JobState] = []
    for state in sorted(told, key=lambda state: (state.since, state.id)):
        if state.state == "down" and state.failure == "start":
            row.append(state)
        elif state.state != "starting":
            row.clear()
    return row

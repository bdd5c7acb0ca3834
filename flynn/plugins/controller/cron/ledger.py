"""The ledger of an entry: its runs, kept up to date by what hosts say of their jobs, and bounded. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from flynn.core.facts import Facts
from flynn.core.model import Assignment, JobState, Ledger, Outcome, Run
from flynn.plugins.controller.moment import Moment

KEPT = 50
"""Runs of an entry that are remembered, apart from those under way."""

ACTIVE = ("queued", "running")
OPEN = ("waiting", *ACTIVE)

Jobs = Mapping[str, tuple[Assignment | None, JobState | None]]
"""The jobs of an app that have a host, or had one: by id."""


def placed(facts: Facts, app: str) -> Jobs:
    assigned, states = facts.jobs_of(app, "ephemeral"), facts.states_of(app, "ephemeral")
    return {key.rpartition("/")[2]: (assigned.get(key), states.get(key)) for key in {*assigned, *states}}


def active(runs: Iterable[Run]) -> list[Run]:
    """Those that have a job which has not ended."""
    return [run for run in runs if run.outcome in ACTIVE]


def brought_up_to_date(facts: Facts, runs: Iterable[Run], jobs: Jobs, moment: Moment) -> Iterator[Run]:
    for run in runs:
        yield _told(facts, run, *jobs.get(run.job, (None, None)), moment) if run.outcome in ACTIVE else run


def _told(facts: Facts, run: Run, assignment: Assignment | None, state: JobState | None, moment: Moment) -> Run:
    if f"ephemeral/{run.job}" in facts.queues or (assignment and state is None):
        return run
    if state is None:
        gone = run.outcome == "queued"
        why = "it was taken out of its queue" if gone else "its host was lost"
        return replace(run, outcome="cancelled" if gone else "lost", ended=moment.now, reason=why)
    started = run.started or (moment.since(state) if state.state == "up" else 0.0)
    if state.state != "down" and assignment is None:
        return replace(run, started=started, outcome="lost", ended=moment.now, reason=f"{state.host} was lost with it")
    if state.state != "down":
        return replace(run, started=started, outcome="running") if started else run
    ended, stopped = moment.since(state), bool(run.reason or (assignment and assignment.stop))
    outcome: Outcome = "stopped" if stopped else "done" if state.exit_code == 0 else "failed"
    return replace(
        run, started=started or min(state.created, ended), ended=ended, exit_code=state.exit_code, outcome=outcome,
        reason=run.reason or ("" if outcome == "done" else state.reason),
    )  # fmt: skip


def trimmed(ledger: Ledger) -> Ledger:
    """The ledger with the newest runs that have ended, and all that have not."""
    ended = [run for run in ledger.runs if run.outcome not in OPEN]
    gone = {id(run) for run in ended[: max(len(ended) - KEPT, 0)]}
    return replace(ledger, runs=tuple(run for run in ledger.runs if id(run) not in gone)) if gone else ledger

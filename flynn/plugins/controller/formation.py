"""From formations to jobs: what is missing is queued, what is too much is stopped. Pure."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import omni
from flynn.plugins.controller.deploy.wanted import spared, wanted_slots
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.jobs import Known, Slot, jobs_of
from flynn.plugins.controller.moment import Moment

PAUSES = (0.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next try, by how many jobs of the slot could not be started of late."""

MEMORY_OF_FAILURES = 300.0
"""Seconds for which a job that could not be started slows down the next."""


@dataclass
class Met:
    """What brings an app to its formation. `wakes`: when a slot that is held back is looked at again; `held`: what is
    missing meanwhile, since its jobs could not be started of late, and why, in words."""

    changes: list[Change] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


def meet_formation(facts: Facts, app: str, moment: Moment) -> Met:
    """Changes that queue what an app misses and stop what is surplus."""
    wanted, wakes = wanted_slots(facts, app, moment.now)
    met, present = Met(wakes=wakes), _present(facts, app)
    for slot, want in wanted.items():
        turn = omni.turn(facts, app, slot[1], present.get(slot, []), want.low, want.high)
        if turn.missing:
            _add(met, facts, slot, want.release, turn.missing, moment)
        met.changes += [_stop(facts, job) for job in turn.stop]
    left = [job for slot, jobs in present.items() if slot not in wanted for job in jobs]
    spare, until = spared(facts, app, wanted, present, left, moment.now)
    met.wakes += [until] if spare else []
    met.changes += [_stop(facts, job) for job in left if job not in spare]
    return met


def stop_all(facts: Facts, app: str) -> list[Change]:
    """The end of all jobs of an app that is no more."""
    return [_stop(facts, job) for job in jobs_of(facts, app) if not job.stop and not job.ended]


def _add(met: Met, facts: Facts, slot: Slot, release: model.Release, missing: int, moment: Moment) -> None:
    """What a slot misses: now, or once enough time has passed since its jobs could not be started."""
    failed = sorted(_failed(facts, release.app, slot, moment), key=moment.since)
    if failed:
        last = moment.since(failed[-1])
        met.held.append(f"{missing} {slot[1]} of {release.app} could not be started: {failed[-1].reason}")
        at = last + PAUSES[min(len(failed), len(PAUSES) - 1)]
        if at > moment.now:
            met.wakes += [at, moment.since(failed[0]) + MEMORY_OF_FAILURES]
            return
    met.changes += _starts(slot, release, moment, missing)


def _present(facts: Facts, app: str) -> dict[Slot, list[Known]]:
    present: dict[Slot, list[Known]] = {}
    for job in jobs_of(facts, app, ("services",)):
        if not job.stop and not job.ended:
            present.setdefault((job.job.release, job.job.type), []).append(job)
    return present


def _failed(facts: Facts, app: str, slot: Slot, moment: Moment) -> list[model.JobState]:
    """The jobs of this slot that could not be started of late."""
    return [
        state
        for state in facts.states_of(app, "services").values()
        if state.failure == "start"
        and state.state == "down"
        and (state.release, state.type) == slot
        and moment.now - moment.since(state) < MEMORY_OF_FAILURES
    ]


def _starts(slot: Slot, release: model.Release, moment: Moment, missing: int) -> list[Change]:
    """So many jobs of a slot, each queued by a change of its own: they differ in their names alone."""
    (version, type), app = slot, release.app
    like = replace(job_of(release, type, "services", "", moment.now), release=version)
    seen = (keys.app(app), keys.formation(app), keys.deploy(app))
    jobs = (replace(like, id=moment.new_id(app, type)) for _ in range(missing))
    return [
        Change(
            puts={keys.queued("services", job.id): model.Queued(job=job)},
            seen=seen,
            why=f"queue {job.id} of v{version}",
        )
        for job in jobs
    ]


def _stop(facts: Facts, job: Known) -> Change:
    if not job.host:
        return Change(deletes=(job.key,), why=f"{job.job.id} is not wanted any more")
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    return Change(
        puts={job.key: replace(assignment, stop=True)},
        seen=(keys.app(job.job.app), keys.formation(job.job.app), keys.deploy(job.job.app)),
        why=f"stop {job.job.id}",
    )

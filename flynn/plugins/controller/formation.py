"""From formations to jobs: what is missing is queued, what is too much is stopped. Pure."""

from collections.abc import Callable

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.jobs import Known, jobs_of, wanted_counts
from flynn.plugins.controller.moving import turnover

Slot = tuple[int, str]
"""A release's version and a process type."""

PAUSES = (0.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next try, by how many jobs of the slot could not be started of late."""

MEMORY_OF_FAILURES = 300.0
"""Seconds for which a job that could not be started slows down the next."""


def meet_formations(facts: Facts, now: float, new_id: Callable[[str, str], str]) -> tuple[list[Change], list[float]]:
    """Changes that queue what is missing and stop what is surplus; moments at which a paused slot is tried again."""
    changes: list[Change] = []
    wakes: list[float] = []
    for app in facts.apps:
        wanted = wanted_slots(facts, app)
        present = _present(facts, app)
        for slot, count in wanted.items():
            turn = turnover(present.pop(slot, []), count)
            if turn.missing:
                at = _next_try(facts, app, slot, now)
                wakes.append(at)
                missing = turn.missing if at <= now else 0
                changes += [_start(facts, app, slot, now, new_id) for _ in range(missing)]
            changes += [_stop(facts, job) for job in turn.stop]
        changes += [_stop(facts, job) for jobs in present.values() for job in jobs]
    gone = [job for job in jobs_of(facts) if job.job.app not in facts.apps and not job.stop and not job.ended]
    return [*changes, *(_stop(facts, job) for job in gone)], wakes


def held_back(facts: Facts, now: float) -> list[str]:
    """What is missing since its jobs could not be started of late, and why, in words."""
    told = []
    for app in sorted({state.app for state in facts.states.values() if state.failure == "start"} & set(facts.apps)):
        present = _present(facts, app)
        for slot, count in wanted_slots(facts, app).items():
            missing = turnover(present.get(slot, []), count).missing
            if missing > 0 and (failed := _failed(facts, app, slot, now)):
                last = max(failed, key=lambda state: state.since)
                told.append(f"{missing} {slot[1]} of {app} could not be started: {last.reason}")
    return told


def wanted_slots(facts: Facts, app: str) -> dict[Slot, int]:
    """How many jobs an app shall have by release and type: of the release that serves, and of one on its way.

    What holds a volume that the next one is to write to makes way for it.
    """
    deploy = facts.deploys.get(app)
    versions = [facts.apps[app].release]
    if deploy and deploy.state == "running":
        versions.append(deploy.new)
    found = [release for version in versions if (release := facts.releases.get(f"{app}/{version}"))]
    wanted: dict[Slot, int] = {}
    for release in found:
        wanted |= {(release.version, type): count for type, count in wanted_counts(facts, release).items()}
    if len(found) == 2:
        wanted |= {(found[0].version, type): 0 for type in one_writer.making_way(facts, *found)}
    return wanted


def _present(facts: Facts, app: str) -> dict[Slot, list[Known]]:
    present: dict[Slot, list[Known]] = {}
    for job in jobs_of(facts, app):
        if job.job.queue == "services" and not job.stop and not job.ended:
            present.setdefault((job.job.release, job.job.type), []).append(job)
    return present


def _next_try(facts: Facts, app: str, slot: Slot, now: float) -> float:
    """When a job of this slot may be queued: later, the more of its kind could not be started of late."""
    failed = [state.since for state in _failed(facts, app, slot, now)]
    return max(failed) + PAUSES[min(len(failed), len(PAUSES) - 1)] if failed else now


def _failed(facts: Facts, app: str, slot: Slot, now: float) -> list[model.JobState]:
    """The jobs of this slot that could not be started of late."""
    return [
        state
        for state in facts.states.values()
        if (state.app, state.release, state.type) == (app, *slot)
        and state.failure == "start"
        and state.state == "down"
        and now - state.since < MEMORY_OF_FAILURES
    ]


def _start(facts: Facts, app: str, slot: Slot, now: float, new_id: Callable[[str, str], str]) -> Change:
    version, type = slot
    release = facts.releases[f"{app}/{version}"]
    job = job_of(release, type, "services", new_id(app, type), now)
    return Change(
        puts={keys.queued("services", job.id): model.Queued(job=job)},
        seen=(keys.app(app), keys.formation(app), keys.deploy(app)),
        why=f"queue {job.id} of v{version}",
    )


def job_of(release: model.Release, type: str, queue: model.Queue, id: str, now: float) -> model.Job:
    """A job that runs one process of `type` of a release."""
    process = release.processes[type]
    return model.Job(
        id=id,
        app=release.app,
        type=type,
        queue=queue,
        command=process.command,
        created=now,
        release=release.version,
        env=release.env,
        layers={} if release.artifact.image else {"app": release.artifact.sha256},
        image=release.artifact.image,
        service=keys.service(release.app, type) if process.serves else "",
        memory=process.memory,
        memory_limit=process.memory_limit,
        cpu=process.cpu,
        pids=process.pids,
        files=process.files,
        check=process.check,
        stop_signal=process.stop_signal,
        stop_timeout=process.stop_timeout,
        mounts=process.mounts,
    )


def _stop(facts: Facts, job: Known) -> Change:
    if not job.host:
        return Change(deletes=(job.key,), why=f"{job.job.id} is not wanted any more")
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    return Change(
        puts={job.key: replace(assignment, stop=True)},
        seen=(keys.app(job.job.app), keys.formation(job.job.app), keys.deploy(job.job.app)),
        why=f"stop {job.job.id}",
    )

"""From formations to jobs: what is missing is queued, what is too much is stopped. Pure."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.jobs import Known, jobs_of, wanted_counts
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.moving import turnover

Slot = tuple[int, str]
"""A release's version and a process type."""

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
    met, present = Met(), _present(facts, app)
    for slot, count in wanted_slots(facts, app).items():
        turn = turnover(present.pop(slot, []), count)
        if turn.missing:
            _add(met, facts, app, slot, turn.missing, moment)
        met.changes += [_stop(facts, job) for job in turn.stop]
    met.changes += [_stop(facts, job) for jobs in present.values() for job in jobs]
    return met


def stop_all(facts: Facts, app: str) -> list[Change]:
    """The end of all jobs of an app that is no more."""
    return [_stop(facts, job) for job in jobs_of(facts, app) if not job.stop and not job.ended]


def _add(met: Met, facts: Facts, app: str, slot: Slot, missing: int, moment: Moment) -> None:
    """What a slot misses: now, or once enough time has passed since its jobs could not be started."""
    failed = sorted(_failed(facts, app, slot, moment), key=moment.since)
    if failed:
        last = moment.since(failed[-1])
        met.held.append(f"{missing} {slot[1]} of {app} could not be started: {failed[-1].reason}")
        at = last + PAUSES[min(len(failed), len(PAUSES) - 1)]
        if at > moment.now:
            met.wakes += [at, moment.since(failed[0]) + MEMORY_OF_FAILURES]
            return
    met.changes += [_start(facts, app, slot, moment) for _ in range(missing)]


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


def _start(facts: Facts, app: str, slot: Slot, moment: Moment) -> Change:
    version, type = slot
    release = facts.releases[f"{app}/{version}"]
    job = job_of(release, type, "services", moment.new_id(app, type), moment.now)
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
        cpu_reserve=process.cpu_reserve,
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

"""The jobs of the grid as the plan sees them: queued ones and assigned ones, with what their hosts say. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.core.matching import wanted

Slot = tuple[int, str]
"""A release's version and a process type."""

RELEASE = "release"
"""The process type that is a release's command: run once before anything of it starts, and never scaled."""


class Known(NamedTuple):
    """A job, the key of its queue entry or assignment, and what its host says of it (None: nothing yet)."""

    job: model.Job
    key: str
    host: str = ""
    stop: bool = False
    state: model.JobState | None = None
    moving: model.Move = ""

    @property
    def up(self) -> bool:
        return not self.stop and self.state is not None and self.state.state == "up"

    @property
    def ended(self) -> bool:
        return self.state is not None and self.state.state == "down"


def jobs_of(facts: Facts, app: str, queues: Sequence[model.Queue] = model.QUEUES) -> Iterator[Known]:
    """Every job of an app that is queued or assigned, of these queues: it costs what the app has there."""
    for queue in queues:
        for key, queued in facts.queued_of(app, queue).items():
            yield Known(queued.job, f"queues/{key}")
        for key, a in facts.jobs_of(app, queue).items():
            yield known(facts, key, a)


def known(facts: Facts, key: str, a: model.Assignment) -> Known:
    """The job of the assignment at `HOST/JOB`."""
    return Known(a.job, f"jobs/{key}", a.host, a.stop, facts.states.get(key), a.moving)


def ready(facts: Facts, job: Known) -> bool:
    """Whether a job does its work: it is up and, if it is to answer requests, registered.

    Before a host lets a process of its service go, every router must have seen that it is to: then it has also seen all
    that was registered before.
    """
    if not job.up or not job.job.service:
        return job.up
    instance = facts.services.get(f"{job.job.service}/{job.job.id}")
    return instance is not None and not instance.draining


def find_job(facts: Facts, id: str) -> Known | None:
    """The job of that name, queued or assigned. It is looked for on each host, not among all jobs."""
    for queue in model.QUEUES:
        if queued := facts.queues.get(f"{queue}/{id}"):
            return Known(queued.job, keys.queued(queue, id))
    for host in facts.jobs_by_host:
        if a := facts.jobs.get(key := f"{host}/{id}"):
            return known(facts, key, a)
    return None


def find_state(facts: Facts, app: str, job: str, queue: model.Queue) -> model.JobState | None:
    """What any host says of a job of an app, running or ended."""
    return next((state for state in facts.states_of(app, queue).values() if state.id == job), None)


def next_version(facts: Facts, app: str) -> int:
    """The version of the release that would be made next."""
    return 1 + max((release.version for release in facts.releases_of(app).values()), default=0)


def wanted_counts(facts: Facts, release: model.Release) -> dict[str, int]:
    """How many processes of each of the release's types the app's formation asks for; of the release command none."""
    return {type: wanted(facts, release.app, type) for type in release.processes if type != RELEASE}


def slot_of(release: model.Release, type: str) -> Slot:
    """Which jobs are those of `type` of a release: also those of an earlier one that would be the same."""
    return release.made.get(type, release.version), type


def hosts_of(facts: Facts) -> str:
    """`1 host`, `3 hosts`, `no host`."""
    count = len(facts.hosts)
    return f"{count or 'no'} host{'s' if count > 1 else ''}"

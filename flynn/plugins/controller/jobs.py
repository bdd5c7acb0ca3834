"""The jobs of the grid as the plan sees them: queued ones and assigned ones, with what their hosts say. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from flynn.core import keys, model
from flynn.core.facts import Facts


@dataclass(frozen=True)
class Known:
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


def jobs_of(facts: Facts, app: str = "") -> Iterator[Known]:
    """Every job that is queued or assigned, of one app or of all."""
    for queued in facts.queues.values():
        if not app or queued.job.app == app:
            yield Known(queued.job, keys.queued(queued.job.queue, queued.job.id))
    for key, a in facts.jobs.items():
        if not app or a.job.app == app:
            yield Known(a.job, keys.job(a.host, a.job.id), a.host, a.stop, facts.states.get(key), a.moving)


def find_state(facts: Facts, job: str) -> model.JobState | None:
    """What any host says of a job, running or ended."""
    return next((state for state in facts.states.values() if state.id == job), None)


def next_version(facts: Facts, app: str) -> int:
    """The version of the release that would be made next."""
    return 1 + max((r.version for r in facts.releases.values() if r.app == app), default=0)


def wanted_counts(facts: Facts, release: model.Release) -> dict[str, int]:
    """How many processes of each of the release's types the app's formation asks for."""
    formation = facts.formations.get(release.app)
    counts = formation.counts if formation else {}
    return {type: counts.get(type, 0) for type in release.processes}


def hosts_of(facts: Facts) -> str:
    """`1 host`, `3 hosts`, `no host`."""
    count = len(facts.hosts)
    return f"{count or 'no'} host{'s' if count > 1 else ''}"

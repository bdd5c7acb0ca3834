"""What a drain of a host means: beforehand, what would move where; meanwhile, what is still there and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import applied
from flynn.core.facts import Facts
from flynn.plugins.controller import wishes
from flynn.plugins.controller.jobs import Known
from flynn.plugins.controller.moving import bound
from flynn.plugins.controller.place import Ground, choose


@dataclass(frozen=True)
class Staying:
    """A job that is on a host still, and why. `for_good`: without force it will not go."""

    id: str
    app: str
    type: str
    reason: str
    for_good: bool = False


@dataclass(frozen=True)
class Going:
    """A service job, and the host where another would take its place now."""

    id: str
    app: str
    type: str
    to: str


@dataclass(frozen=True)
class Forecast:
    """What a drain of `host` would do now: what moves, what would find no place, what is let end, what stays."""

    host: str
    moves: tuple[Going, ...] = ()
    unplaced: tuple[Staying, ...] = ()
    ends: tuple[Staying, ...] = ()
    stays: tuple[Staying, ...] = ()


def forecast(facts: Facts, name: str, now: float) -> Forecast:
    """By the places that the scheduler would give now, one after the other. NotFound: there is no such host."""
    then = applied(facts, wishes.drain(facts, name, False, 0.0, now))
    ground, moves, unplaced = Ground.of(then), [], []
    here = list(on_host(facts, name))
    for job in (known.job for known in here if _moves(facts, known)):
        host, reason = choose(then, ground, replace(job, id=f"{job.id}-next"))
        if host:
            ground.take(model.Assignment(job=job, host=host, assigned=now))
            moves.append(Going(job.id, job.app, job.type, host))
        else:
            unplaced.append(Staying(job.id, job.app, job.type, reason))
    others = [staying(facts, known) for known in here if not _moves(facts, known)]
    ends = tuple(one for one in others if not one.for_good)
    return Forecast(name, tuple(moves), tuple(unplaced), ends, tuple(one for one in others if one.for_good))


def on_host(facts: Facts, name: str) -> Iterator[Known]:
    """The jobs that a host has and that have not ended, the oldest first."""
    found = [
        Known(a.job, keys.job(name, a.job.id), name, a.stop, facts.states.get(key), a.moving)
        for key, a in facts.jobs.items()
        if a.host == name
    ]
    return iter(sorted((job for job in found if not job.ended), key=lambda job: (job.job.created, job.job.id)))


def staying(facts: Facts, known: Known) -> Staying:
    """Why a job is on its host still, while that is drained."""
    job, wish = known.job, facts.wishes.get(known.host)
    forced = wish is not None and wish.force
    if known.stop:
        return _staying(job, "is stopping")
    if job.queue != "services":
        kind = "a build" if job.queue == "builders" else "a one-off job"
        return _staying(job, f"{kind}, is let end" + (f" for {wish.timeout:g} s" if wish and forced else ""))
    if volume := bound(facts, job):
        return _staying(job, f"has its volume {volume} there", for_good=not forced)
    return _staying(job, _waits_for(facts, job))


def _waits_for(facts: Facts, job: model.Job) -> str:
    """What the one that shall take a service job's place does."""
    same = (job.app, job.release, job.type)
    for queued in facts.queues.values():
        if (queued.job.app, queued.job.release, queued.job.type) == same:
            return f"the next one waits: {queued.reason}" if queued.reason else "the next one is queued"
    return "until the next one is up"


def _moves(facts: Facts, known: Known) -> bool:
    return known.job.queue == "services" and not known.stop and not bound(facts, known.job)


def _staying(job: model.Job, reason: str, for_good: bool = False) -> Staying:
    return Staying(job.id, job.app, job.type, reason, for_good)

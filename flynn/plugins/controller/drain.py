"""What a drain of a host means: beforehand, what would move where; meanwhile, what is still there and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from flynn.core import keys, matching, model
from flynn.core.change import Change, applied
from flynn.core.facts import Facts
from flynn.plugins.controller import wishes
from flynn.plugins.controller.jobs import Known, known
from flynn.plugins.controller.line import Line, like
from flynn.plugins.controller.moving import bound
from flynn.plugins.controller.place import Ground, choose
from flynn.plugins.controller.queue_limits import Queues


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
    """By the places that the scheduler would give now, in its order. NotFound: there is no such host."""
    here = list(on_host(facts, name))
    going = [one for one in here if _moves(facts, one)]
    then = _drained(applied(facts, wishes.drain(facts, name, False, 0.0, now)), going, now)
    places, reasons = _places(then, now)
    moves, unplaced = [], []
    for job in (one.job for one in going):
        if host := places.get(_next(job.id)):
            moves.append(Going(job.id, job.app, job.type, host))
        else:
            unplaced.append(Staying(job.id, job.app, job.type, reasons.get((job.app, like(job)), "")))
    others = [staying(facts, one) for one in here if not _moves(facts, one)]
    ends = tuple(one for one in others if not one.for_good)
    return Forecast(name, tuple(moves), tuple(unplaced), ends, tuple(one for one in others if one.for_good))


def _next(id: str) -> str:
    return f"{id}-next"


def _drained(facts: Facts, going: list[Known], now: float) -> Facts:
    """The photo in which those that go are marked, and the next ones are queued."""
    puts: dict[str, model.Record] = {}
    for one in going:
        puts[one.key] = replace(facts.jobs[one.key.removeprefix("jobs/")], moving="drain")
        queued = model.Queued(job=replace(one.job, id=_next(one.job.id), created=now))
        puts[keys.queued("services", queued.job.id)] = queued
    return applied(facts, Change(puts=puts))


def _places(facts: Facts, now: float) -> tuple[dict[str, str], dict[tuple[str, Any], str]]:
    """The hosts that what is queued would get, by job; why there is none, by app and what is alike."""
    ground, line = Ground.of(facts), Line(facts, Queues(), now, services_only=True)
    places, reasons = {}, {}
    for queued in line:
        host, reason = choose(facts, ground, queued.job)
        line.tell(reason)
        if host:
            ground.take(model.Assignment(job=queued.job, host=host, assigned=now))
            places[queued.job.id] = host
        reasons[queued.job.app, like(queued.job)] = reason
    return places, reasons


def on_host(facts: Facts, name: str) -> Iterator[Known]:
    """The jobs that a host has and that have not ended, the oldest first."""
    found = [known(facts, key, a) for key, a in facts.jobs_by_host.get(name, {}).items()]
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
    if _everywhere(facts, job):
        return _staying(job, "is of a type that runs on every host: it ends, and no other takes its place")
    return _staying(job, _waits_for(facts, job))


def _waits_for(facts: Facts, job: model.Job) -> str:
    """What the one that shall take a service job's place does."""
    same = (job.app, job.release, job.type)
    for queued in facts.queues.values():
        if (queued.job.app, queued.job.release, queued.job.type) == same:
            return f"the next one waits: {queued.reason}" if queued.reason else "the next one is queued"
    return "until the next one is up"


def _moves(facts: Facts, known: Known) -> bool:
    """Whether another job takes its place on another host."""
    may = known.job.queue == "services" and not known.stop
    return may and not bound(facts, known.job) and not _everywhere(facts, known.job)


def _everywhere(facts: Facts, job: model.Job) -> bool:
    return matching.placement(facts, job.app, job.type).omni


def _staying(job: model.Job, reason: str, for_good: bool = False) -> Staying:
    return Staying(job.id, job.app, job.type, reason, for_good)

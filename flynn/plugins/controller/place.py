"""Places for queued jobs: the host where they are spread best that has room, the fullest of those; or why none has.

Pure. An app's jobs of a type are spread over the zones first, then over the hosts; among equals the one is chosen
that a job fills best. `choose` is all that decides: the leader's passes, `explain` and plans for a host ask it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import place_volumes, place_yield
from flynn.plugins.controller.place_ground import Ground
from flynn.plugins.controller.place_refusals import none_fits, refusal
from flynn.plugins.controller.place_site import Alike, Want, want_of

__all__ = ["Ground", "Places", "choose", "place_queued"]

WAYS = 50
"""Services that batch jobs make way for in one pass, at most, as that takes a while: the others have the next one."""

FRESH = 20
"""Jobs at the head of the line whose reason is always that of now."""

TELL = 30.0
"""Seconds after which the reasons of those behind them are those of then."""


def place_queued(
    facts: Facts,
    ground: Ground,
    line: Iterable[model.Queued],
    now: float,
    tell: Callable[[str], None] = lambda reason: None,
) -> list[Change]:
    """All that `Places` says of this line."""
    return list(Places(facts, ground, now, tell).of(line))


@dataclass
class Places:
    """For each queued job of a line, in its order: its move to a host, or a new reason why it waits. What is given is
    counted on in the ground, as it is asked for.

    `tell` is called with why there is none ("": there is one) before the next is asked for. Behind the first `fresh` of
    the line (None: all) a reason is left as it is; `late`: one was left that is another now. `refused`: what has found
    no place, of which there is only less.
    """

    facts: Facts
    ground: Ground
    now: float
    tell: Callable[[str], None]
    fresh: int | None = None
    late: bool = False
    refused: dict[Alike, str] = field(default_factory=dict)
    ways: int = WAYS

    def of(self, line: Iterable[model.Queued]) -> Iterator[Change]:
        """One after the other, as they are asked for."""
        return (change for place, queued in enumerate(line) if (change := self.change(place, queued)))

    def change(self, place: int, queued: model.Queued) -> Change | None:
        """Of the job at this place in the line; None: all is said of it."""
        job = queued.job
        if job.app not in self.facts.apps:
            return None
        want = want_of(self.facts, job)
        known = "" if job.mounts else self.refused.get(want.alike, "")
        host, reason = (not known and _found(self.facts, self.ground, job, want)) or ("", known)
        if host:
            assignment = model.Assignment(job=job, host=host, assigned=self.now)
            self.ground.take(assignment)
            self.tell("")
            return _assign(self.facts, assignment)
        may = job.queue == "services" and self.ground.batch and want.alike not in self.refused and self.ways
        may = may and not _for_spread(self.facts, job)
        if may and (change := _make_way(self.facts, self.ground, job, want, self.now)):
            self.ways -= 1
            self.tell("")
            return change
        if not reason:
            reason = self.refused[want.alike] = none_fits(self.ground, want)
        self.tell(reason)
        if reason == queued.reason:
            return None
        if queued.reason and self.fresh is not None and place >= self.fresh:
            self.late = True
            return None
        key = keys.queued(job.queue, job.id)
        return Change(puts={key: replace(queued, reason=reason)}, why=f"{job.id} waits: {reason}")


def _for_spread(facts: Facts, job: model.Job) -> bool:
    """Whether a service is to take the place of one that runs, for the sake of spread: nobody makes way for that."""
    kind = (job.release, job.type)
    running = facts.jobs_of(job.app, "services").values()
    return any(a.moving == "rebalance" and (a.job.release, a.job.type) == kind for a in running)


def _make_way(facts: Facts, ground: Ground, job: model.Job, want: Want, now: float) -> Change | None:
    """A place for a service where batch jobs make way; None: there is none."""
    bound, why = place_volumes.bound(facts, job, ground.writer)
    way = None if why else place_yield.find_way(ground, want, bound)
    if way is None:
        return None
    change, own = place_yield.make_way(facts, job, way, now)
    place_yield.count(ground, way, own)
    return change


def choose(facts: Facts, ground: Ground, job: model.Job) -> tuple[str, str]:
    """The name of the host for a job, and why there is none ("" where there is one)."""
    want = want_of(facts, job)
    return _found(facts, ground, job, want) or ("", none_fits(ground, want))


def host_for(facts: Facts, ground: Ground, job: model.Job) -> str:
    """The same, where nobody asks why there is none: that is much to find out on many hosts."""
    found = _found(facts, ground, job, want_of(facts, job))
    return found[0] if found else ""


def _found(facts: Facts, ground: Ground, job: model.Job, want: Want) -> tuple[str, str] | None:
    """The same; None: no host takes it, and it is to be found out why."""
    if job.mounts:
        bound, why = place_volumes.bound(facts, job, ground.writer)
        if why or bound:
            return ("", why) if why else _bound(facts, ground, job, want, bound)
    if (row := ground.lowest(want)) >= 0:
        return ground.columns.names[row], ""
    return None


def _bound(facts: Facts, ground: Ground, job: model.Job, want: Want, host: str) -> tuple[str, str]:
    """The host that has its volume, or why it cannot be there now."""
    if refused := refusal(ground, ground.columns.row[host], want):
        return "", f"its volume {place_volumes.named(facts, job, host)} is on {host}, which {refused}"
    return host, ""


def _assign(facts: Facts, a: model.Assignment) -> Change:
    """The move of a job from its queue to a host.

    That the host has it not yet follows from its entry in the queue, which is guarded and removed here: a job is queued
    or assigned, never both, as each commit that assigns one removes its entry, each that queues it again removes its
    assignment, and a name is given once.
    """
    job, host = a.job, a.host
    key = keys.job(host, job.id)
    puts: dict[str, model.Record] = {key: a}
    seen: tuple[str, ...] = (keys.host(host), keys.wish(host))
    if job.mounts:
        puts |= place_volumes.binding(facts, job, host)
        seen += place_volumes.keys_of(job)
    return Change(
        puts=puts,
        deletes=(keys.queued(job.queue, job.id),),
        seen=seen,
        why=f"start {job.id} on {host}",
        follows=(key,),
    )

"""Places for queued jobs: the host where they are spread best that has room, the fullest of those; or why none has.

Pure. An app's jobs of a type are spread over the zones first, then over the hosts; among equals the one is chosen
that a job fills best. `choose` is all that decides: the leader's passes, `explain` and plans for a host ask it.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import place_volumes, place_yield
from flynn.plugins.controller.place_ground import Ground, Kind, kind_of
from flynn.plugins.controller.place_refusals import none_fits, refusal, same_words
from flynn.plugins.controller.place_score import UNFIT
from flynn.plugins.controller.place_site import Demand, demand_of, placement_of

__all__ = ["Ground", "choose", "place_queued"]

FRESH = 20
"""Jobs at the head of the line whose reason has the numbers of now; behind them it is written anew for new words."""


def place_queued(
    facts: Facts,
    ground: Ground,
    line: Iterable[model.Queued],
    now: float,
    tell: Callable[[str], None] = lambda reason: None,
) -> list[Change]:
    """For each queued job in this order: its move to a host, or a new reason why it waits. Counted on in the ground.

    `tell` is called with why there is none ("": there is one) before the next is asked for.
    """
    changes = []
    apps, hopeless = facts.apps, set[Demand]()
    for place, queued in enumerate(line):
        job = queued.job
        if job.app not in apps:
            continue
        host, reason = choose(facts, ground, job)
        if host:
            assignment = model.Assignment(job=job, host=host, assigned=now)
            ground.take(assignment)
            change: Change | None = _assign(facts, assignment)
        else:
            preempts = job.queue == "services" and ground.batch
            change = _make_way(facts, ground, job, now, hopeless) if preempts else None
        tell("" if change else reason)
        if change:
            changes.append(change)
        elif reason != queued.reason and (place < FRESH or not same_words(reason, queued.reason)):
            key = keys.queued(job.queue, job.id)
            changes.append(Change(puts={key: replace(queued, reason=reason)}, why=f"{job.id} waits: {reason}"))
    return changes


def _make_way(facts: Facts, ground: Ground, job: model.Job, now: float, hopeless: set[Demand]) -> Change | None:
    """A place for a service where batch jobs make way; None: there is none. `hopeless`: what was found to have none in
    this pass, in which there will only be less."""
    placement = placement_of(facts, job)
    demand = demand_of(job, placement)
    bound, why = place_volumes.bound(facts, job, ground.writer)
    if why or demand in hopeless:
        return None
    way = place_yield.find_way(ground, demand, kind_of(job), most_of(facts, job, placement), bound)
    if way is None:
        if not bound:
            hopeless.add(demand)
        return None
    change, own = place_yield.make_way(facts, job, way, now)
    place_yield.count(ground, way, own)
    return change


def choose(facts: Facts, ground: Ground, job: model.Job) -> tuple[str, str]:
    """The name of the host for a job, and why there is none ("" where there is one)."""
    placement = placement_of(facts, job)
    demand, kind, most = demand_of(job, placement), kind_of(job), most_of(facts, job, placement)
    if job.mounts:
        bound, why = place_volumes.bound(facts, job, ground.writer)
        if why or bound:
            return ("", why) if why else _bound(facts, ground, job, bound)
    if (row := best(ground, demand, kind, most)) >= 0:
        return ground.columns.names[row], ""
    return "", none_fits(ground, demand, kind, most)


def most_of(facts: Facts, job: model.Job, placement: model.Placement) -> int:
    """How many jobs of its kind a host may have; 0: any number."""
    if placement.omni:
        return facts.formations[job.app].counts.get(job.type, 0)
    return 1 if placement.one_per_host else 0


def best(ground: Ground, demand: Demand, kind: Kind, most: int = 0) -> int:
    """The row that a job goes to; -1: none can take it."""
    scores, zones = ground.crowded(ground.scores(demand), kind, most)
    if not len(scores):
        return -1
    if demand.starts and (held := ground.held(demand)):
        scores = scores.copy()
        scores[held] = UNFIT
    if len(zones) < 2 or min(zones) == max(zones):
        row = int(scores.argmin())
        return row if scores[row] < UNFIT else -1
    slices = ground.columns.slices
    for count in sorted(set(zones)):
        parts = [slices[zone] for zone, has in enumerate(zones) if has == count]
        rows = [start + int(scores[start:stop].argmin()) for start, stop in parts]
        row = min(rows, key=lambda row: (float(scores[row]), row))
        if scores[row] < UNFIT:
            return row
    return -1


def _bound(facts: Facts, ground: Ground, job: model.Job, host: str) -> tuple[str, str]:
    """The host that has its volume, or why it cannot be there now."""
    placement = placement_of(facts, job)
    row = ground.columns.row[host]
    if refused := refusal(ground, row, demand_of(job, placement), kind_of(job), most_of(facts, job, placement)):
        return "", f"its volume {place_volumes.named(facts, job, host)} is on {host}, which {refused}"
    return host, ""


def _assign(facts: Facts, a: model.Assignment) -> Change:
    job, host = a.job, a.host
    puts: dict[str, model.Record] = {keys.job(host, job.id): a}
    seen: tuple[str, ...] = (keys.host(host), keys.wish(host))
    if job.mounts:
        puts |= place_volumes.binding(facts, job, host)
        seen += place_volumes.keys_of(job)
    return Change(
        puts=puts,
        deletes=(keys.queued(job.queue, job.id),),
        seen=seen,
        why=f"start {job.id} on {host}",
    )

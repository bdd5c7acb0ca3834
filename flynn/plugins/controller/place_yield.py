"""Batch jobs that make way for a service that fits nowhere else: which, on which host, and what becomes of them. Pure.

Who can be stopped: jobs of the queue `ephemeral` that nobody is attached to, but a release's command. One that its host
has begun is stopped for good, as it may have done half of its work; one that it has not begun goes back to its queue.
The service gets its place in the same commit, and its host begins it once those are down. While some host will have
room by what stops there already, nobody is stopped for it: the service waits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.core.lazy import Lazy
from flynn.plugins.controller import place_volumes
from flynn.plugins.controller.place_ground import Ground
from flynn.plugins.controller.place_site import Demand, Want

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

MOST = 30
"""Jobs that make way for one service, at most: all that changes goes in one commit."""


LOOKED_AT = 25
"""Hosts that are looked at closely, at most: those with the most memory left."""


@dataclass(frozen=True)
class Way:
    """A host, and the jobs there that make way."""

    host: str
    victims: tuple[model.Assignment, ...]

    @property
    def cost(self) -> tuple[int, float, int, str]:
        """The fewest first, then those that have run the shortest, then the smallest."""
        oldest = min(a.job.created for a in self.victims)
        return len(self.victims), -oldest, sum(a.job.memory for a in self.victims), self.host


def find_way(ground: Ground, want: Want, only: str = "") -> Way | None:
    """The way that costs least; None: there is none, or a host has room soon. `only`: no other host will do."""
    columns, demand = ground.columns, want.demand
    fit = ground.fit(demand.needs)
    if only:
        fit = fit & (np.arange(len(fit)) == columns.row[only])
    memory, cpu = columns.line("memory"), columns.line("cpu")
    leaving, leaving_cpu = columns.line("leaving"), columns.line("leaving_cpu")
    soon = (leaving > 0) & (memory + leaving >= demand.memory) & (cpu + leaving_cpu >= demand.cpu)
    if _allowed(ground, fit & soon, want):
        return None
    enough = memory + columns.line("yielding") >= demand.memory
    if demand.cpu:
        enough &= cpu + columns.line("yielding_cpu") >= demand.cpu
    rows = _allowed(ground, fit & enough, want)
    rows = sorted(rows, key=lambda row: (-memory[row], columns.names[row]))[:LOOKED_AT]
    ways = [way for row in rows if (way := _on(ground, columns.names[row], demand))]
    return min(ways, key=lambda way: way.cost, default=None)


def make_way(facts: Facts, job: model.Job, way: Way, now: float) -> tuple[Change, model.Assignment]:
    """The one commit that places a job where others make way; its assignment."""
    begun = [a for a in way.victims if f"{way.host}/{a.job.id}" in facts.states]
    waiting = [a for a in way.victims if a not in begun]
    told = f"made way for {job.id}"
    own = model.Assignment(job=job, host=way.host, assigned=now, after=tuple(a.job.id for a in begun))
    puts: dict[str, model.Record] = {keys.job(way.host, job.id): own, **place_volumes.binding(facts, job, way.host)}
    puts |= {keys.job(way.host, a.job.id): replace(a, stop=True, reason=told) for a in begun}
    puts |= {keys.queued(a.job.queue, a.job.id): model.Queued(job=a.job, reason=told) for a in waiting}
    change = Change(
        puts=puts,
        deletes=(keys.queued(job.queue, job.id), *(keys.job(way.host, a.job.id) for a in waiting)),
        seen=(
            keys.host(way.host), keys.wish(way.host), *place_volumes.keys_of(job),
            *(keys.state(way.host, a.job.id) for a in waiting),
        ),
        why=f"start {job.id} on {way.host}, where {', '.join(a.job.id for a in way.victims)} made way",
    )  # fmt: skip
    return change, own


def count(ground: Ground, way: Way, own: model.Assignment) -> None:
    """Count on what was decided: who stops is there until it is down."""
    for a in way.victims:
        ground.release(a, starting=a.job.id not in own.after)
        if a.job.id in own.after:
            ground.take(replace(a, stop=True))
    ground.take(own)


def _allowed(ground: Ground, rows: "NDArray[np.bool_]", want: Want) -> list[int]:
    """Which of these rows have not as many jobs of the kind as they may."""
    _, kind, most = want
    spread = ground.spreads.get(kind)
    found: list[int] = rows.nonzero()[0].tolist()
    return [row for row in found if spread.rows.get(row, 0) < most] if most and spread else found


def _on(ground: Ground, host: str, demand: Demand) -> Way | None:
    """Who would make way on a host; None: not even all of them would do."""
    row = ground.columns.row[host]
    memory = demand.memory - ground.columns.memory[row]
    cpu = demand.cpu - ground.columns.cpu[row] if demand.cpu else 0.0
    jobs = sorted(ground.batch.get(host, {}).values(), key=lambda a: (-a.job.created, a.job.memory, a.job.id))
    alone = [a for a in jobs if a.job.memory >= memory and a.job.cpu_reserve >= cpu]
    victims = alone[:1] or _several(jobs, memory, cpu)
    return Way(host, tuple(victims)) if 0 < len(victims) <= MOST else None


def _several(jobs: Sequence[model.Assignment], memory: float, cpu: float) -> list[model.Assignment]:
    """Large ones until it is enough, less those that were not needed, the oldest first; [] if all are not enough."""
    chosen: list[model.Assignment] = []
    for a in sorted(jobs, key=lambda a: -_share(a, memory, cpu)):
        if _enough(chosen, memory, cpu):
            break
        chosen.append(a)
    if not _enough(chosen, memory, cpu):
        return []
    for a in sorted(chosen, key=lambda a: (a.job.created, a.job.id)):
        rest = [other for other in chosen if other is not a]
        chosen = rest if _enough(rest, memory, cpu) else chosen
    return chosen


def _share(a: model.Assignment, memory: float, cpu: float) -> float:
    """How much of what is missing a job would give: parts of the memory and of the CPU."""
    of_memory = min(a.job.memory, memory) / memory if memory > 0 else 0.0
    return of_memory + (min(a.job.cpu_reserve, cpu) / cpu if cpu > 0 else 0.0)


def _enough(jobs: Iterable[model.Assignment], memory: float, cpu: float) -> bool:
    jobs = list(jobs)
    return sum(a.job.memory for a in jobs) >= memory and sum(a.job.cpu_reserve for a in jobs) >= cpu

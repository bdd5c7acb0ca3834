"""Work moved to where less of its kind is: to a host that has joined, or takes jobs again. Gently. Pure.

A job moves only if the host that a new one of its kind would get now has at least two fewer of the kind than its own
(or is in a zone that has); so each move brings the kind nearer to being spread evenly, and moves come to an end. The
next one is up before the old one stops (`moving.py`). An app has one such move at a time, and none while it is
deployed or not all of it is up; the grid has so many as it is set to. What a volume binds to its host stays.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, matching, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import Known, jobs_of, ready
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.moving import bound
from flynn.plugins.controller.place import Ground, host_for

ZONE = "zone"
"""The tag that says which hosts fail together."""


@dataclass(frozen=True)
class Balance:
    """What is to be done now to spread an app's jobs; when to look again, if a job has not been up for long enough.
    `uneven`: the kinds that could be spread better, were there room. `off`: a move that is called off, as there is none
    after all."""

    change: Change | None = None
    wake: float | None = None
    uneven: "Sequence[Uneven]" = ()
    off: Change | None = None


def rebalance(facts: Facts, zones: "Zones", ground: Ground, app: str, moment: Moment) -> Balance:
    """The next move of an app's jobs, if there is one that betters their spread and may be done now."""
    jobs = list(jobs_of(facts, app, ("services",)))
    if off := _called_off(facts, jobs):
        return Balance(off=off)
    if len(jobs) < 2 or len(facts.hosts) < 2 or not _quiet(facts, app, jobs):
        return Balance()
    kinds: dict[tuple[int, str], list[Known]] = {}
    for job in jobs:
        kinds.setdefault((job.job.release, job.job.type), []).append(job)
    spreads = [Uneven(same, Spread.of(zones, same)) for _, same in sorted(kinds.items())]
    uneven, wake = [kind for kind in spreads if kind.spread.uneven], None
    for kind in uneven:
        if found := better(facts, ground, kind):
            job, target = found
            rested = (moment.since(job.state) if job.state else moment.now) + moment.limits.rest
            if rested <= moment.now:
                return Balance(_move(facts, job, target), uneven=uneven)
            wake = rested if wake is None else min(wake, rested)
    return Balance(wake=wake, uneven=uneven)


@dataclass(frozen=True)
class Zones:
    """The zone of each host that is up, and how many hosts each has."""

    of_host: dict[str, str]
    sizes: Counter[str]

    @staticmethod
    def of(facts: Facts) -> "Zones":
        zones = {name: matching.tags(facts, host).get(ZONE, "") for name, host in facts.hosts.items()}
        return Zones(zones, Counter(zones.values()))


@dataclass(frozen=True)
class Spread:
    """How many jobs of a kind each host has that has any, and each zone."""

    zones: Zones
    hosts: Counter[str]
    in_zone: Counter[str]

    @staticmethod
    def of(zones: Zones, same: Sequence[Known]) -> "Spread":
        hosts = Counter(job.host for job in same)
        return Spread(zones, hosts, Counter(zones.of_host.get(job.host, "") for job in same))

    def gap(self, source: str, target: str) -> int:
        """How many more of the kind there are where `source` is than where `target` is."""
        here, there = self.zones.of_host.get(source, ""), self.zones.of_host.get(target, "")
        return self.hosts[source] - self.hosts[target] if here == there else self.in_zone[here] - self.in_zone[there]

    @property
    def uneven(self) -> bool:
        """Whether a move could better it, were there room anywhere."""
        among = [self.in_zone[zone] for zone in self.zones.sizes]
        if max(among) - min(among) >= 2:
            return True
        counts: dict[str, list[int]] = {}
        for name, count in self.hosts.items():
            counts.setdefault(self.zones.of_host.get(name, ""), []).append(count)
        return any(max(have) - self._least(zone, have) >= 2 for zone, have in counts.items())

    def _least(self, zone: str, have: list[int]) -> int:
        return min(have) if len(have) >= self.zones.sizes[zone] else 0

    def crowded(self) -> list[str]:
        """The hosts that have any, those with the most first."""
        zone = self.zones.of_host
        return sorted(self.hosts, key=lambda name: (-self.in_zone[zone.get(name, "")], -self.hosts[name], name))


@dataclass(frozen=True)
class Uneven:
    """The jobs of a kind, and how they are spread."""

    same: Sequence[Known]
    spread: Spread


def better(facts: Facts, ground: Ground, kind: Uneven) -> tuple[Known, str] | None:
    """Which of these jobs should move, and where to a new one would go now; None: it would better nothing."""
    target = host_for(facts, ground, replace(kind.same[0].job, id=f"{kind.same[0].job.id}-next"))
    for source in kind.spread.crowded() if target else ():
        movable = [job for job in kind.same if job.host == source and not bound(facts, job.job)]
        if movable and kind.spread.gap(source, target) >= 2:
            return max(movable, key=lambda job: (job.job.created, job.job.id)), target
    return None


def _quiet(facts: Facts, app: str, jobs: Sequence[Known]) -> bool:
    """Whether an app is at rest: nothing of it starts, stops, moves, or is deployed."""
    deploy = facts.deploys.get(app)
    return not (deploy and deploy.state == "running") and all(ready(facts, job) and not job.moving for job in jobs)


def _called_off(facts: Facts, jobs: Sequence[Known]) -> Change | None:
    """The end of a move whose next one has found no place: the one that was to leave stays."""
    waiting = {(q.job.release, q.job.type) for job in jobs if not job.host and (q := _queued(facts, job)) and q.reason}
    for job in jobs:
        if job.moving == "rebalance" and not job.stop and (job.job.release, job.job.type) in waiting:
            assignment = facts.jobs[job.key.removeprefix("jobs/")]
            stays: model.Assignment = replace(assignment, moving="")
            return Change(puts={job.key: stays}, why=f"{job.job.id} stays on {job.host}: the next one finds no place")
    return None


def _queued(facts: Facts, job: Known) -> model.Queued | None:
    return facts.queues.get(job.key.removeprefix("queues/"))


def _move(facts: Facts, job: Known, target: str) -> Change:
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    marked: model.Assignment = replace(assignment, moving="rebalance")
    why = f"{job.job.id} leaves {job.host}, which has more of its kind than {target}"
    return Change(puts={job.key: marked}, seen=(keys.formation(job.job.app),), why=why)

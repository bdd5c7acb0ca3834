"""The ground that jobs stand on: what each host has and what is taken of it, and where the jobs of a kind are. Pure.

It is learnt from a photo (`of`, `follow`), and counted on while a pass gives places away (`take`, `release`).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.core.lazy import Lazy
from flynn.plugins.controller.jobs import RELEASE
from flynn.plugins.controller.place_columns import Columns, Numbers
from flynn.plugins.controller.place_score import CROWD, UNFIT, Scores
from flynn.plugins.controller.place_site import Demand, Needs, site_of, unfit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

Kind = tuple[str, int, str]
"""What is spread: the jobs of an app, a release, a type."""

REMEMBERED = 128
"""Demands whose scores are kept: those that were asked for last."""

LOG = 1 << 16
"""Changed rows that are remembered for them."""

NO_LIMIT: Mapping[str, int] = {}
"""Any number of jobs may start on a host."""

FEW = 24
"""Rows with jobs of a kind, up to which they are gone through one by one."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Spread:
    """The jobs of a kind that shall stay: how many on each row, and in each zone."""

    rows: dict[int, int] = field(default_factory=dict)
    zones: list[int] = field(default_factory=list)


class Ground:
    """See above. `batch` has the jobs that may be stopped to make way for a service, by host, then by key; `starting`
    how many jobs start by queue, then by host, but for services; `most_starting` how many may on one host."""

    def __init__(self) -> None:
        self.columns = Columns({}, ())
        self._given: list[tuple[model.Assignment, int]] = []
        self.spreads: dict[Kind, Spread] = {}
        self.writers: dict[tuple[str, str], dict[str, str]] = {}
        self.batch: dict[str, dict[str, model.Assignment]] = {}
        self.starting: dict[str, dict[str, int]] = {}
        self.most_starting = NO_LIMIT
        self._log: list[int] = []
        self._scores: dict[Demand, Scores] = {}
        self._fits: dict[Needs, NDArray[np.bool_]] = {}
        self._crowds: dict[Kind, Numbers] = {}
        self._scratch: Numbers = np.zeros(0)

    @staticmethod
    def of(facts: Facts, most_starting: Mapping[str, int] = NO_LIMIT) -> "Ground":
        """The ground of a photo."""
        ground = Ground().follow(Facts(), facts)
        ground.most_starting = most_starting
        return ground

    def follow(self, before: Facts, after: Facts) -> "Ground":
        """From the ground of the photo `before` to that of `after`, at the cost of what changed; itself."""
        self.restore()
        changed = {key for name in ("jobs", "states") for key in _changed(before, after, name)}
        gone = [(a, before.states.get(key)) for key in changed if (a := before.jobs.get(key))]
        come = [(a, after.states.get(key)) for key in changed if (a := after.jobs.get(key))]
        self._meet_hosts(before, after, {a.host for a, _ in come if a.host not in self.columns.row})
        for a, state in gone:
            self._count(a, state, -1)
        for a, state in come:
            self._count(a, state, 1)
        return self

    def take(self, a: model.Assignment) -> None:
        """Count a job as given to a host, until the next photo is followed, which shows whether it was."""
        self._given.append((a, 1))
        self._count(a, None, 1)

    def release(self, a: model.Assignment) -> None:
        """Count a job no more, until then."""
        self._given.append((a, -1))
        self._count(a, None, -1)

    def restore(self) -> None:
        """Forget what was counted since the last photo."""
        while self._given:
            a, sign = self._given.pop()
            self._count(a, None, -sign)

    def crowded(self, scores: Scores, kind: Kind, most: int) -> tuple[Numbers, list[int]]:
        """The scores with CROWD for each job of the kind that a row has, UNFIT where it has `most`; and how many each
        zone has. To be read at once: the next call writes over them."""
        spread = self.spreads.get(kind)
        if spread is None:
            return scores.array, []
        if len(self._scratch) != len(scores.array):
            self._scratch = np.empty_like(scores.array)
        crowded = self._scratch
        if len(spread.rows) > FEW:
            crowd = self._crowd(kind, spread)
            np.add(scores.array, crowd, out=crowded)
            if most:
                crowded[crowd >= most * CROWD] = UNFIT
            return crowded, spread.zones
        np.copyto(crowded, scores.array)
        for row, count in spread.rows.items():
            crowded[row] = UNFIT if most and count >= most else crowded[row] + count * CROWD
        return crowded, spread.zones

    def _crowd(self, kind: Kind, spread: Spread) -> Numbers:
        found = self._crowds.get(kind)
        if found is None:
            if len(self._crowds) >= REMEMBERED:
                del self._crowds[next(iter(self._crowds))]
            found = self._crowds[kind] = np.zeros(len(self.columns.names))
            found[list(spread.rows)] = np.fromiter(spread.rows.values(), float) * CROWD
        return found

    def scores(self, demand: Demand) -> Scores:
        """How well each row fits a demand now."""
        found = self._scores.get(demand)
        if found is None:
            found = Scores(self.columns, demand, self.fit(demand.needs), len(self._log))
            if len(self._scores) >= REMEMBERED:
                del self._scores[next(iter(self._scores))]
            self._scores[demand] = found
        elif found.seen < len(self._log):
            found.follow(self._log)
        return found

    def fit(self, needs: Needs) -> "NDArray[np.bool_]":
        """Which rows have what is needed, room or not."""
        found = self._fits.get(needs)
        if found is None:
            sites = self.columns.sites
            found = self._fits[needs] = np.array([s is not None and not unfit(s, needs) for s in sites], dtype=np.bool_)
        return found

    def writer(self, app: str, volume: str) -> str:
        """The job that writes to a volume which has one writer; empty: none does."""
        return min(self.writers.get((app, volume), {}).values(), default="")

    def held(self, demand: Demand) -> list[int]:
        """The rows where as many jobs of its queue start as may at a time."""
        most = self.most_starting.get(demand.starts)
        if not most:
            return []
        return [self.columns.row[host] for host, n in self.starting.get(demand.starts, {}).items() if n >= most]

    def said(self) -> dict[str, Any]:
        """All that it says of hosts that are up, by their names: the same for two grounds of one photo."""
        columns = self.columns
        up = [row for row, site in enumerate(columns.sites) if site]
        hosts = {columns.names[row]: (columns.sites[row], columns.numbers(row)) for row in up}
        kinds = {
            kind: ({columns.names[row]: n for row, n in spread.rows.items() if columns.sites[row]}, spread.zones)
            for kind, spread in self.spreads.items()
        }
        return {
            "hosts": hosts,
            "kinds": kinds,
            "writers": self.writers,
            "batch": self.batch,
            "zones": columns.slices,
            "starting": self.starting,
        }

    def _meet_hosts(self, before: Facts, after: Facts, assigned: Collection[str]) -> None:
        """Hosts that came, went, or offer something else; those that are `assigned` to need a row."""
        columns = self.columns
        for name in {*_changed(before, after, "hosts"), *_changed(before, after, "wishes"), *assigned}:
            row, site = columns.row.get(name), site_of(after, name)
            was = None if row is None else columns.sites[row]
            if row is None and site is None and name not in assigned:
                continue
            if row is None or (site and site.zone) != (was and was.zone):
                self._lay_out(after)
                return
            if site and site != was:
                columns.replace(row, site)
                self._note(row)
                for needs, fit in self._fits.items():
                    fit[row] = not unfit(site, needs)

    def _lay_out(self, facts: Facts) -> None:
        """The rows anew, with all that is counted on them."""
        old = self.columns
        sites = {name: site for name in facts.hosts if (site := site_of(facts, name))}
        away = {*facts.jobs_by_host} | {name for name, row in old.row.items() if old.jobs[row]}
        self.columns = Columns(sites, away - sites.keys())
        moved = self.columns.take_over(old)
        for forgotten in (self._log, self._scores, self._fits, self._crowds):
            forgotten.clear()
        for spread in self.spreads.values():
            spread.rows = {moved[row]: count for row, count in spread.rows.items()}
            spread.zones = self._by_zone(spread.rows)

    def _by_zone(self, rows: Mapping[int, int]) -> list[int]:
        zones = [0] * len(self.columns.slices)
        for row, count in rows.items():
            if (zone := self.columns.zone[row]) >= 0:
                zones[zone] += count
        return zones

    def _count(self, a: model.Assignment, state: model.JobState | None, sign: int) -> None:
        if state is not None and state.state == "down":
            return
        columns, job = self.columns, a.job
        row = columns.row[a.host]
        columns.jobs[row] += sign
        columns.memory[row] -= sign * job.memory
        columns.cpu[row] -= sign * job.cpu_reserve
        columns.builds[row] -= sign * (job.queue == "builders")
        if a.stop:
            columns.leaving[row] += sign * job.memory
            columns.leaving_cpu[row] += sign * job.cpu_reserve
        elif not a.moving:
            self._spread(row, job, sign)
            if job.queue == "ephemeral" and not job.attached and job.type != RELEASE:
                _mark(self.batch, a.host, job.id, a, sign)
                columns.yielding[row] += sign * job.memory
                columns.yielding_cpu[row] += sign * job.cpu_reserve
        if job.queue != "services" and (state is None or state.state == "starting"):
            self._starts(job.queue, a.host, sign)
        for mount in job.mounts:
            if mount.one_writer:
                _mark(self.writers, (job.app, mount.volume), f"{a.host}/{job.id}", job.id, sign)
        columns.weigh(row)
        self._note(row)

    def _spread(self, row: int, job: model.Job, sign: int) -> None:
        kind = kind_of(job)
        spread = self.spreads.get(kind)
        if spread is None:
            spread = self.spreads[kind] = Spread({}, [0] * len(self.columns.slices))
        rows = spread.rows
        rows[row] = rows.get(row, 0) + sign
        if (zone := self.columns.zone[row]) >= 0:
            spread.zones[zone] += sign
        if (crowd := self._crowds.get(kind)) is not None:
            crowd[row] += sign * CROWD
        if not rows[row]:
            del rows[row]
            if not rows:
                del self.spreads[kind]

    def _starts(self, queue: str, host: str, sign: int) -> None:
        hosts = self.starting.setdefault(queue, {})
        hosts[host] = hosts.get(host, 0) + sign
        if not hosts[host]:
            del hosts[host]
            if not hosts:
                del self.starting[queue]

    def _note(self, row: int) -> None:
        """Remember that a row changed."""
        if len(self._log) >= LOG:
            self._log.clear()
            self._scores.clear()
        self._log.append(row)


def kind_of(job: model.Job) -> Kind:
    """What the job is spread among."""
    return job.app, job.release, job.type


def _mark(marks: dict[K, dict[str, V]], owner: K, key: str, value: V, sign: int) -> None:
    """Keep a value by owner and key, or (`sign` below 0) forget it; an owner of nothing is forgotten too."""
    if sign > 0:
        marks.setdefault(owner, {})[key] = value
    elif owner in marks:
        marks[owner].pop(key, None)
        if not marks[owner]:
            del marks[owner]


def _changed(before: Facts, after: Facts, name: str) -> Iterator[str]:
    """The keys of a table whose records are not the same in both photos."""
    old, new = before.tables.get(name, EMPTY), after.tables.get(name, EMPTY)
    return (key for key, _, _ in diff(old, new)) if old is not new else iter(())

"""The ground that jobs stand on: what each host has and what is taken of it, and where the jobs of a kind are. Pure.

It is learnt from a photo (`of`, `follow`), and counted on while a pass gives places away (`take`, `release`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.core.lazy import Lazy
from flynn.plugins.controller.jobs import RELEASE
from flynn.plugins.controller.place_columns import Columns, Numbers
from flynn.plugins.controller.place_counted import Counted, counted_at, key_of, marked
from flynn.plugins.controller.place_score import CROWD, UNFIT, Scores
from flynn.plugins.controller.place_site import Demand, Kind, Needs, Want, kind_of, site_of, unfit
from flynn.plugins.controller.place_starting import NO_LIMIT, Starting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

CROWDS = 256
"""Kinds with many jobs for which is kept where these are, as an array."""

FEW = 24
"""Rows with jobs of a kind, up to which they are gone through one by one."""

NEEDS = 256
"""Needs for which is kept which hosts have them: more than there are among the demands whose scores are kept."""


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
        self.starting = Starting()
        self._given: dict[str, tuple[Counted | None, Counted | None]] = {}
        """What was counted otherwise since the last photo, by `HOST/JOB`: as what it counted then, and as what now."""

        self.spreads: dict[Kind, Spread] = {}
        self.writers: dict[tuple[str, str], dict[str, str]] = {}
        self.batch: dict[str, dict[str, model.Assignment]] = {}
        self._scores = Scores(self.columns)
        self._fits: dict[Needs, NDArray[np.bool_]] = {}
        self._crowds: dict[Kind, Numbers] = {}
        self._scratch: Numbers = np.zeros(0)

    @staticmethod
    def of(facts: Facts, most_starting: Mapping[str, int] = NO_LIMIT) -> "Ground":
        """The ground of a photo."""
        ground = Ground().follow(Facts(), facts)
        ground.most_starting = most_starting
        return ground

    @property
    def most_starting(self) -> Mapping[str, int]:
        """How many jobs may start on one host, by queue; 0, or none: any number."""
        return self.starting.most

    @most_starting.setter
    def most_starting(self, most: Mapping[str, int]) -> None:
        self.starting.most = most

    def follow(self, before: Facts, after: Facts) -> "Ground":
        """From the ground of the photo `before` to that of `after`, at the cost of what changed; itself."""
        changed = {key for name in ("jobs", "states") for key in _changed(before, after, name)}
        counted = [
            (self._standing(before, key), counted_at(after, key)) for key in {**dict.fromkeys(changed), **self._given}
        ]
        self._given.clear()
        gone = [was for was, now in counted if was and was != now]
        come = [now for was, now in counted if now and was != now]
        self._meet_hosts(before, after, {a.host for a, _ in come if a.host not in self.columns.row})
        for each in gone:
            self._count(each, -1)
        for each in come:
            self._count(each, 1)
        return self

    def take(self, a: model.Assignment) -> None:
        """Count a job as given to a host, until the next photo is followed, which shows whether it was."""
        taken = Counted(a, not a.stop and a.job.queue != "services")
        key = key_of(a)
        self._given[key] = self._given[key][0] if key in self._given else None, taken
        self._count(taken, 1)

    def release(self, a: model.Assignment, starting: bool = False) -> None:
        """Count a job no more, until then; `starting`: its host has not said that it is up."""
        released = Counted(a, starting and a.job.queue != "services")
        key = key_of(a)
        self._given[key] = self._given[key][0] if key in self._given else released, None
        self._count(released, -1)

    def restore(self) -> None:
        """Forget what was counted since the last photo."""
        for was, now in self._given.values():
            if now:
                self._count(now, -1)
            if was:
                self._count(was, 1)
        self._given.clear()

    def _standing(self, photo: Facts, key: str) -> Counted | None:
        """What is counted now of the assignment at `HOST/JOB`, since the last photo."""
        return self._given[key][1] if key in self._given else counted_at(photo, key)

    def lowest(self, want: Want) -> int:
        """The row that such a job goes to: of the zone that has the fewest of its kind the host that has the fewest,
        and of these the one with the lowest score, the first if there are several; -1: none can take it."""
        demand, kind, most = want
        scores, spread = self.scores(demand), self.spreads.get(kind)
        if (held := self.starting.held(demand.starts)) is not None:
            scores = np.where(held, UNFIT, scores)
        if spread is None:
            return _lowest(scores, (), ())
        if len(spread.rows) > FEW:
            crowd = self._crowd(kind, spread)
            np.add(scores, crowd, out=self._scratch)
            if most:
                self._scratch[crowd >= most * CROWD] = UNFIT
            return _lowest(self._scratch, self.columns.slices, spread.zones)
        kept = [(row, scores[row]) for row in spread.rows]
        for row, count in spread.rows.items():
            scores[row] = UNFIT if most and count >= most else scores[row] + count * CROWD
        found = _lowest(scores, self.columns.slices, spread.zones)
        for row, score in kept:
            scores[row] = score
        return found

    def _crowd(self, kind: Kind, spread: Spread) -> Numbers:
        """CROWD for each job of a kind, by row."""
        found = self._crowds.get(kind)
        if found is None:
            if len(self._crowds) >= CROWDS:
                del self._crowds[next(iter(self._crowds))]
            found = self._crowds[kind] = np.zeros(len(self.columns.names))
            found[list(spread.rows)] = np.fromiter(spread.rows.values(), float) * CROWD
        return found

    def scores(self, demand: Demand) -> Numbers:
        """How well each row fits a demand; they change as hosts do."""
        return self._scores.of(demand, self.fit(demand.needs))

    def fit(self, needs: Needs) -> "NDArray[np.bool_]":
        """Which rows have what is needed, room or not."""
        found = self._fits.get(needs)
        if found is None:
            if len(self._fits) >= NEEDS:
                scored = self._scores.needs()
                self._fits = {needs: fit for needs, fit in self._fits.items() if needs in scored}
            sites = self.columns.sites
            found = self._fits[needs] = np.array([s is not None and not unfit(s, needs) for s in sites], dtype=np.bool_)
        return found

    def writer(self, app: str, volume: str) -> str:
        """The job that writes to a volume which has one writer; empty: none does."""
        return min(self.writers.get((app, volume), {}).values(), default="")

    def said(self) -> dict[str, Any]:
        """All that it says of hosts that are up, by their names: the same for two grounds of one photo."""
        columns = self.columns
        up = [row for row, site in enumerate(columns.sites) if site]
        hosts = {columns.names[row]: (columns.sites[row], columns.numbers(row)) for row in up}
        kinds = {
            kind: ({columns.names[row]: n for row, n in spread.rows.items() if columns.sites[row]}, spread.zones)
            for kind, spread in self.spreads.items()
        }
        return {"hosts": hosts, "kinds": kinds, "writers": self.writers, "batch": self.batch, "zones": columns.slices,
                "starting": self.starting.counts}  # fmt: skip

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
                for needs, fit in self._fits.items():
                    fit[row] = not unfit(site, needs)
                    self._scores.refit(row, needs, bool(fit[row]))
                self._scores.follow(row)

    def _lay_out(self, facts: Facts) -> None:
        """The rows anew, with all that is counted on them."""
        old = self.columns
        sites = {name: site for name in facts.hosts if (site := site_of(facts, name))}
        away = {*facts.jobs_by_host} | {name for name, row in old.row.items() if old.jobs[row]}
        self.columns = Columns(sites, away - sites.keys())
        moved = self.columns.take_over(old)
        self._fits.clear()
        self._crowds.clear()
        self.starting.lay_out(self.columns.row)
        self._scores = Scores(self.columns)
        self._scratch = np.zeros(len(self.columns.names))
        for spread in self.spreads.values():
            spread.rows = {moved[row]: count for row, count in spread.rows.items()}
            spread.zones = self._by_zone(spread.rows)

    def _by_zone(self, rows: Mapping[int, int]) -> list[int]:
        zones = [0] * len(self.columns.slices)
        for row, count in rows.items():
            if (zone := self.columns.zone[row]) >= 0:
                zones[zone] += count
        return zones

    def _count(self, counted: Counted, sign: int) -> None:
        a, starting = counted
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
                marked(self.batch, a.host, job.id, a, sign)
                columns.yielding[row] += sign * job.memory
                columns.yielding_cpu[row] += sign * job.cpu_reserve
        if starting:
            self.starting.count(job.queue, a.host, sign)
        for mount in job.mounts:
            if mount.one_writer:
                marked(self.writers, (job.app, mount.volume), f"{a.host}/{job.id}", job.id, sign)
        columns.weigh(row)
        self._scores.follow(row)

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


def _lowest(scores: Numbers, slices: Sequence[tuple[int, int]], zones: Sequence[int]) -> int:
    """The first row with the lowest score, in the zones with the lowest count where any is fit; -1: none is."""
    if not zones or min(zones) == max(zones):
        row = int(scores.argmin()) if len(scores) else -1
        return row if row >= 0 and scores[row] < UNFIT else -1
    for count in sorted(set(zones)):
        best, least = -1, UNFIT
        for (start, stop), has in zip(slices, zones, strict=True):
            if has == count:
                row = start + int(scores[start:stop].argmin())
                if scores[row] < least:
                    best, least = row, scores[row]
        if best >= 0:
            return best
    return -1


def _changed(before: Facts, after: Facts, name: str) -> Iterator[str]:
    """The keys of a table whose records are not the same in both photos."""
    old, new = before.tables.get(name, EMPTY), after.tables.get(name, EMPTY)
    return (key for key, _, _ in diff(old, new)) if old is not new else iter(())

"""The plan, from one photo to the next: only what changed in between is planned anew. Pure.

It decides what `plan()` decides on the same photo (a property says so): an app is planned again when a fact of it has
changed, when its time has come, or when it had changes the last time, which may not have been done. So is an
assignment, also when its host has come, gone, or become full. A host that tells its load costs next to nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from flynn.core import model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.plugins.controller.balancer import Balancer
from flynn.plugins.controller.moment import Limits, Moment
from flynn.plugins.controller.place import Ground
from flynn.plugins.controller.plan import Part, Plan, apart, plan_app, queues_services, seat
from flynn.plugins.controller.sentence import Counts
from flynn.plugins.controller.tend import host_wakes, tend

APPS: Mapping[str, Callable[[str, Any], str]] = {
    "apps": lambda key, record: key,
    "releases": lambda key, record: key.partition("/")[0],
    "formations": lambda key, record: key,
    "deploys": lambda key, record: key,
    "receipts": lambda key, record: key.partition("/")[0],
    "builds": lambda key, record: key,
    "queues": lambda key, record: str(record.job.app),
    "jobs": lambda key, record: str(record.job.app),
    "services": lambda key, record: str(record.meta.get("app", "")),
    "states": lambda key, record: str(record.app),
    "routes": lambda key, record: str(record.app),
    "sinks": lambda key, record: str(record.app),
    "crons": lambda key, record: str(record.app),
    "volumes": lambda key, record: key.partition("/")[0],
    "stored": lambda key, record: str(record.app),
}
"""The app that a record of each table is of; "": of none."""

PLACES = ("apps", "formations", "queues", "jobs", "states", "volumes")
"""The tables that say where a queued job may go, apart from the hosts."""


@dataclass
class Planner:
    """What is kept of one term as the leader. `facts` is the photo that was last planned on."""

    limits: Limits
    new_id: Callable[[str, str], str]
    facts: Facts = field(default_factory=Facts)
    counts: Counts = field(default_factory=Counts)
    absent: dict[str, float] = field(default_factory=dict)
    """Since when the hosts of jobs are gone, on a clock that nobody sets (`steady`): a host is not lost because the
    leader's time of day is set forward."""

    _seen: dict[str, float] = field(default_factory=dict)
    _later: dict[str, Part] = field(default_factory=dict)
    """What is to be said or done later, by app; most have nothing."""

    _apps: set[str] = field(default_factory=set)
    _jobs: set[str] = field(default_factory=set)
    _places: bool = True
    _ground: Ground = field(default_factory=Ground)
    _counted: Facts = field(default_factory=Facts)
    """The photo that the ground shows."""

    _balancer: Balancer = field(default_factory=Balancer)
    _line_wake: float | None = None

    def plan(self, facts: Facts, now: float, steady: float) -> Plan:
        """What to do on this photo, at this time of day and that of a clock that nobody sets."""
        self._follow(facts, now, steady)
        moment = self.moment(now, steady)
        self._due(moment)
        changes = [*self._plan(moment), *self._tend(moment)]
        placed = self._place(moment, changes) if self._places else []
        self._places = bool(placed) or queues_services(changes)
        held = {app: part.held for app, part in self._later.items() if part.held}
        wakes = [part.wake for part in self._later.values() if part.wake is not None]
        wakes += [at for _, at in host_wakes(facts, moment) if at > now]
        wakes += [wake for wake in (self._line_wake, self._balancer.wake) if wake is not None]
        return Plan(apart([*changes, *placed]), self.counts.sentence(facts, held), min(wakes, default=None))

    def moment(self, now: float, steady: float) -> Moment:
        """What the leader knows beside the facts."""
        absent = {host: at + now - steady for host, at in self.absent.items()}
        return Moment(now, self.new_id, absent, self.limits, self._seen)

    def _follow(self, facts: Facts, now: float, steady: float) -> None:
        """Note what has changed since the last photo."""
        before, self.facts = self.facts, facts
        self.counts.follow(before, facts)
        for table, owner in APPS.items():
            for key, was, record in _diff(before, facts, table):
                self._apps.update({owner(key, each) for each in (was, record) if each is not None})
        for app, _, _ in _diff(before, facts, "formations"):
            self._jobs.update(facts.jobs_of(app, "services"))
        for app in {str(a.job.app) for _, *pair in _diff(before, facts, "jobs") for a in pair if a is not None}:
            if any(where.one_per_host for where in _placements(facts, app)):
                self._jobs.update(facts.jobs_of(app, "services"))
        self._apps.discard("")
        self._balancer.follow(before, facts)
        self._balancer.look(self._apps)
        self._states(before, facts, now)
        self._hosts(before, facts, steady)
        self._places |= any(before.tables.get(name) is not facts.tables.get(name) for name in PLACES)

    def _states(self, before: Facts, facts: Facts, now: float) -> None:
        self._jobs.update(key for key, _, _ in _diff(before, facts, "jobs"))
        for app in {key.partition("/")[0] for key, _, _ in _diff(before, facts, "volumes")}:
            self._jobs.update(key for queue in model.QUEUES for key in facts.jobs_of(app, queue))
        for key, was, state in _diff(before, facts, "states"):
            self._jobs.add(key)
            if state is None:
                self._seen.pop(key, None)
            elif before.revision and (was is None or (was.state, was.since) != (state.state, state.since)):
                self._seen[key] = now

    def _hosts(self, before: Facts, facts: Facts, steady: float) -> None:
        """Which hosts have come, gone or become others; one that tells only its load is what it was."""
        near = {key.partition("/")[0] for key in self._jobs}
        for name, was, host in _diff(before, facts, "hosts"):
            if was is None or host is None or replace(was, load=host.load) != host:
                near.add(name)
                self._host_changed(facts)
                self._jobs.update(facts.jobs_by_host.get(name, ()))
        for name, _, _ in _diff(before, facts, "wishes"):
            self._host_changed(facts)
            self._jobs.update(facts.jobs_by_host.get(name, ()))
        for name in near:
            if name in facts.hosts or name not in facts.jobs_by_host:
                self.absent.pop(name, None)
            else:
                self.absent.setdefault(name, steady)

    def _host_changed(self, facts: Facts) -> None:
        """A host more or less, or another: jobs may go there, and apps that run on every host want more or less."""
        self._places = True
        self._balancer.look(facts.apps)
        self._apps.update(app for app in facts.formations if any(where.omni for where in _placements(facts, app)))

    def _due(self, moment: Moment) -> None:
        """Note what has waited for its time, which has come."""
        self._places |= any(at is not None and at <= moment.now for at in (self._line_wake, self._balancer.wake))
        self._apps.update(app for app, part in self._later.items() if part.wake and part.wake <= moment.now)
        for host, at in host_wakes(self.facts, moment):
            if at <= moment.now:
                self._jobs.update(self.facts.jobs_by_host.get(host, ()))

    def _plan(self, moment: Moment) -> list[Change]:
        parts = {app: plan_app(self.facts, app, moment) for app in sorted(self._apps)}
        for app, part in parts.items():
            self._later.pop(app, None)
            if part.wake or part.held:
                self._later[app] = Part(wake=part.wake, held=part.held)
        self._apps = {app for app, part in parts.items() if part.changes}
        return [change for part in parts.values() for change in part.changes]

    def _place(self, moment: Moment, changes: Iterable[Change]) -> list[Change]:
        """Places for what is queued, and better ones for what runs."""
        self._ground.follow(self._counted, self.facts)
        self._counted = self.facts
        seated = seat(self.facts, self._ground, moment, changes) if self.facts.queues else Part()
        self._line_wake = seated.wake
        return [*seated.changes, *self._balancer.plan(self.facts, self._ground, moment)]

    def _tend(self, moment: Moment) -> list[Change]:
        tended = {key: tend(self.facts, key, moment) for key in sorted(self._jobs)}
        self._jobs = {key for key, change in tended.items() if change}
        return [change for change in tended.values() if change]


def _placements(facts: Facts, app: str) -> Iterable[model.Placement]:
    formation = facts.formations.get(app)
    return formation.placement.values() if formation else ()


def _diff(before: Facts, after: Facts, table: str) -> Iterator[tuple[str, Any, Any]]:
    old, new = before.tables.get(table, EMPTY), after.tables.get(table, EMPTY)
    return iter(()) if old is new else diff(old, new)

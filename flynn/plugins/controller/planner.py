"""The plan, from one photo to the next: only what changed in between is planned anew. Pure.

It decides what `plan()` decides on the same photo (a property says so): an app is planned again when a fact of it has
changed, when its time has come, or when it had changes the last time, which may not have been done. So is an
assignment, also when its host has come, gone, or become full. A host that tells its load costs next to nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flynn.core import model
from flynn.core.change import Change
from flynn.core.facts import Changes, Facts, changed
from flynn.plugins.controller.moment import Limits, Moment
from flynn.plugins.controller.news import is_other
from flynn.plugins.controller.place import TELL
from flynn.plugins.controller.placing import AT_ONCE, Kept, Placing
from flynn.plugins.controller.plan import Part, Plan, plan_app
from flynn.plugins.controller.sentence import Counts
from flynn.plugins.controller.tend import host_wakes, tend

APPS: Mapping[str, Callable[[str, Any], str]] = {
    "apps": lambda key, record: key,
    "releases": lambda key, record: key.partition("/")[0],
    "formations": lambda key, record: key,
    "deploys": lambda key, record: key,
    "receipts": lambda key, record: key.partition("/")[0],
    "builds": lambda key, record: key.partition("/")[0],
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
    _left: frozenset[str] = frozenset()
    _jobs: set[str] = field(default_factory=set)
    _given: frozenset[str] = frozenset()
    """The assignments that were decided in the last pass, by `HOST/JOB`."""

    _places: bool = True
    _told: float = -math.inf
    """When it last found out for all jobs that wait why they do."""

    _kept: Kept = field(default_factory=Kept)
    _wake: float | None = None
    """When a job that waits for a place may be tried again."""

    def plan(self, facts: Facts, now: float, steady: float) -> Plan:
        """What to do on this photo, at this time of day and that of a clock that nobody sets."""
        one = self.begin(facts, now, steady)
        return Plan(tuple(one.changes()), one.sentence, one.wake())

    def begin(self, facts: Facts, now: float, steady: float) -> "Pass":
        """The same, where the first changes are wanted before the last are decided."""
        self._follow(facts, now, steady)
        if not self._told <= now < self._told + TELL:
            self._told = now
        moment = self.moment(now, steady)
        self._due(moment)
        decided = [*self._plan(moment), *self._tend(moment)]
        held = {app: part.held for app, part in self._later.items() if part.held}
        return Pass(self, moment, decided, self.counts.sentence(facts, held))

    def moment(self, now: float, steady: float) -> Moment:
        """What the leader knows beside the facts."""
        absent = {host: at + now - steady for host, at in self.absent.items()}
        return Moment(now, self.new_id, absent, self.limits, self._seen, self._told)

    def _follow(self, facts: Facts, now: float, steady: float) -> None:
        """Note what has changed since the last photo."""
        before, self.facts = self.facts, facts
        changes = changed(before, facts)
        self.counts.see(facts, changes)
        self._look(changes)
        self._kept.balancer.look(self._apps)
        self._assigned(changes)
        self._near(changes)
        self._states(changes, now, first=not before.revision)
        self._hosts(changes, steady)
        self._places |= not changes.keys().isdisjoint(PLACES)

    def _look(self, changes: Changes) -> None:
        """Note the apps of which a fact has changed, but for what changes nothing for them."""
        placed = self._placed(changes)
        for table in APPS.keys() & changes.keys():
            owner = APPS[table]
            for key, *pair in changes[table]:
                if key.partition("/")[2] not in placed or table not in ("queues", "jobs"):
                    self._apps.update(owner(key, record) for record in pair if record is not None)
        self._apps.discard("")

    def _placed(self, changes: Changes) -> set[str]:
        """Services that went from their queue to a host, of apps that have as many as before, and do not ask where."""
        queued = {was.job.id: was.job for _, was, now in changes.get("queues", ()) if was is not None and now is None}
        begun = [a for _, was, a in changes.get("jobs", ()) if was is None and not a.stop and not a.moving]
        moved = [a.job for a in begun if a.job == queued.get(a.job.id)]
        asking = {app for app in {job.app for job in moved} if self._asks(app)}
        return {job.id for job in moved if job.queue == "services" and job.app not in asking}

    def _asks(self, app: str) -> bool:
        """Whether it matters to an app which of its jobs have a host, and which."""
        deploy = self.facts.deploys.get(app)
        deployed = deploy is not None and deploy.state != "complete"
        return app not in self.facts.apps or deployed or any(where.omni for where in _placements(self.facts, app))

    def _assigned(self, changes: Changes) -> None:
        """Note the assignments that have changed, but for those that were given in the last pass just so: they may be
        where they are as long as nothing else changes, of which the rest takes note."""
        given, self._given = self._given, frozenset()
        for key, was, a in changes.get("jobs", ()):
            if was is not None or key not in given or a.stop or a.moving:
                self._jobs.add(key)

    def _near(self, changes: Changes) -> None:
        """Assignments that may not stay where they are since something else of their app has changed."""
        facts, apps = self.facts, {app for app, _, _ in changes.get("formations", ())}
        moved = {str(a.job.app) for _, *pair in changes.get("jobs", ()) for a in pair if a is not None}
        apps |= {app for app in moved if any(where.one_per_host for where in _placements(facts, app))}
        self._jobs.update(key for app in apps for key in facts.jobs_of(app, "services"))
        for app in {key.partition("/")[0] for key, _, _ in changes.get("volumes", ())}:
            self._jobs.update(key for queue in model.QUEUES for key in facts.jobs_of(app, queue))

    def _states(self, changes: Changes, now: float, first: bool) -> None:
        for key, was, state in changes.get("states", ()):
            self._jobs.add(key)
            if state is None:
                self._seen.pop(key, None)
            elif state.since > now if first else was is None or (was.state, was.since) != (state.state, state.since):
                self._seen[key] = now

    def _hosts(self, changes: Changes, steady: float) -> None:
        """Which hosts have come, gone or become others."""
        others = {name for name, _, _ in changes.get("wishes", ())}
        for name, was, host in changes.get("hosts", ()):
            if is_other(was, host):
                others.add(name)
        if others:
            self._hosts_changed(others)
        for name in others | {key.partition("/")[0] for key in self._jobs}:
            if name in self.facts.hosts or name not in self.facts.jobs_by_host:
                self.absent.pop(name, None)
            else:
                self.absent.setdefault(name, steady)

    def _hosts_changed(self, names: Iterable[str]) -> None:
        """Queued jobs may go there, what is there may have to leave, and what runs on every host wants more or less."""
        self._places = True
        self._kept.balancer.look(self.facts.apps)
        self._jobs.update(key for name in names for key in self.facts.jobs_by_host.get(name, ()))
        formations = self.facts.formations
        self._apps.update(app for app in formations if any(where.omni for where in _placements(self.facts, app)))

    def _due(self, moment: Moment) -> None:
        """Note what has waited for its time, which has come."""
        self._places |= self._wake is not None and self._wake <= moment.now
        self._apps.update(app for app, part in self._later.items() if part.wake and part.wake <= moment.now)
        for host, at in host_wakes(self.facts, moment):
            if at <= moment.now:
                self._jobs.update(self.facts.jobs_by_host.get(host, ()))

    def _plan(self, moment: Moment) -> list[Change]:
        """What is to be done for apps; those that there is no time for in this pass come first in the next."""
        found: list[Change] = []
        waiting = iter(sorted(self._apps, key=lambda app: (app not in self._left, app)))
        again = set[str]()  # A new set each time: one that was large once is slow to go through for ever.
        for app in waiting:
            part = plan_app(self.facts, app, moment)
            self._later.pop(app, None)
            if part.wake or part.held:
                self._later[app] = Part(wake=part.wake, held=part.held)
            if part.changes:
                again.add(app)
                found += part.changes
            if len(found) >= AT_ONCE:
                break
        self._left = frozenset(waiting)
        self._apps = again | self._left
        return found

    def _tend(self, moment: Moment) -> list[Change]:
        """What is to be done about assignments."""
        found: list[Change] = []
        waiting, again = iter(sorted(self._jobs)), set[str]()
        for key in waiting:
            if change := tend(self.facts, key, moment):
                again.add(key)
                found.append(change)
            if len(found) >= AT_ONCE:
                break
        self._jobs = again.union(waiting)
        return found

    def place(self, decided: list[Change], moment: Moment) -> Iterator[Change]:
        """All that is decided, with places for what is queued, if there may be any that there was not before."""
        if not self._places and not decided:
            return
        self._places = False
        placing, given = Placing(self.facts, decided, self._kept, moment), set[str]()
        try:
            for change in placing.changes():
                self._places = True
                given.update(key.removeprefix("jobs/") for key in change.puts if key.startswith("jobs/"))
                yield change
            self._wake = placing.wake
        finally:
            self._given = frozenset(given)

    def wakes(self, moment: Moment) -> Iterator[float]:
        """When to look again though nothing changes."""
        yield from (part.wake for part in self._later.values() if part.wake is not None)
        yield from (at for _, at in host_wakes(self.facts, moment) if at > moment.now)
        yield from (self._wake,) if self._wake is not None else ()


@dataclass
class Pass:
    """One pass of a planner: the next one begins when this one has been gone through."""

    planner: Planner
    moment: Moment
    decided: list[Change]
    sentence: str

    def changes(self) -> Iterator[Change]:
        """What to commit, each decided as it is asked for; to be gone through once."""
        return self.planner.place(self.decided, self.moment)

    def wake(self) -> float | None:
        """When to look again at the latest though nothing changed (epoch seconds), once all was gone through."""
        return min(self.planner.wakes(self.moment), default=None)


def _placements(facts: Facts, app: str) -> Iterable[model.Placement]:
    formation = facts.formations.get(app)
    return formation.placement.values() if formation else ()

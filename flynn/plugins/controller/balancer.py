"""Which apps to look at for better spread, from one photo to the next, and how many moves the grid has now. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flynn.core import model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.plugins.controller.line import Room
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.place import Ground
from flynn.plugins.controller.rebalance import Balance, Uneven, Zones, better, rebalance


@dataclass
class Balancer:
    """`moving`: the jobs that are being moved for the sake of spread, by `HOST/JOB`. `_apps`: those to look at;
    `_uneven`: those that could be spread better once there is room, with their kinds that could: as long as nothing of
    such an app changes, it is enough to ask whether there is a better place for one of these."""

    moving: set[str] = field(default_factory=set)
    _apps: set[str] = field(default_factory=set)
    _uneven: dict[str, Sequence[Uneven]] = field(default_factory=dict)
    _wakes: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(facts: Facts) -> "Balancer":
        """That of a photo by itself: all apps are looked at."""
        balancer = Balancer()
        balancer.look(facts.apps)
        balancer.follow(Facts(), facts)
        return balancer

    def look(self, apps: Iterable[str]) -> None:
        """Look at these apps the next time: facts of them have changed, or hosts, for all of them."""
        self._apps.update(apps)

    def follow(self, before: Facts, after: Facts) -> None:
        """See which moves have begun and ended from one photo to the next."""
        old, new = before.tables.get("jobs", EMPTY), after.tables.get("jobs", EMPTY)
        for key, _, record in diff(old, new) if old is not new else ():
            if isinstance(record, model.Assignment) and record.moving == "rebalance":
                self.moving.add(key)
            else:
                self.moving.discard(key)

    @property
    def wake(self) -> float | None:
        """When a job will have been up for long enough to be moved."""
        return min(self._wakes.values(), default=None)

    def plan(self, facts: Facts, ground: Ground, moment: Moment) -> list[Change]:
        """The moves to begin now, no more at a time than the grid is set to, and those that are called off."""
        if not moment.limits.rebalance:
            return []
        changes: list[Change] = []
        budget = self._budget(facts, moment)
        looked = self._apps | self._due(moment.now)
        waiting = {app for app in self._uneven if self._may_move(facts, ground, app)} - looked if budget > 0 else set()
        zones = Zones.of(facts) if looked or waiting else None
        self._apps = set()
        for app in sorted(looked | waiting):
            found = rebalance(facts, zones, ground, app, moment) if zones and app in facts.apps else Balance()
            self._note(app, found)
            if found.off:
                self._apps.add(app)
                changes.append(found.off)
            elif found.change and budget > 0:
                budget -= 1
                changes.append(found.change)
        return changes

    def _may_move(self, facts: Facts, ground: Ground, app: str) -> bool:
        """Whether there is a better place for a job of an app of which nothing has changed since it was looked at."""
        return any(better(facts, ground, kind) for kind in self._uneven[app])

    def _budget(self, facts: Facts, moment: Moment) -> float:
        """How many moves may begin now. One whose next job would have to wait in its queue is not begun."""
        budget = moment.limits.rebalance - len(self.moving)
        limits = moment.limits.queues.of("services")
        return min(budget, Room.of(facts, "services", limits).left) if budget > 0 else 0

    def _due(self, now: float) -> set[str]:
        return {app for app, wake in self._wakes.items() if wake <= now}

    def _note(self, app: str, found: Balance) -> None:
        if found.uneven:
            self._uneven[app] = found.uneven
        else:
            self._uneven.pop(app, None)
        if found.wake is None:
            self._wakes.pop(app, None)
        else:
            self._wakes[app] = found.wake

"""Facts in, table out: which targets there are, and what is kept of them from one table to the next."""

from collections.abc import Callable, Mapping

from flynn.core.facts import Facts
from flynn.core.model import Instance
from flynn.router import orphans
from flynn.router.place import Place
from flynn.router.table import Table, build
from flynn.router.target import Service, Target


class Registry:
    """The table in use, the services it names and the targets they have, swapped as one when the facts change."""

    def __init__(self, when_less: Callable[[], None] = lambda: None) -> None:
        self.table: Table[Place] = Table({})
        self.places: dict[str, Place] = {}
        self.services: dict[str, Service] = {}
        self.revision = 0
        self.when_less = when_less
        self._seen: tuple[object, object] | None = None
        self._instances: Mapping[str, Instance] = {}
        self._orphans: orphans.Orphans = {}
        self._targets: dict[str, Target] = {}

    def swap(self, facts: Facts, now: float) -> bool:
        """Follow the facts; False when nothing in them concerns the router."""
        seen = facts.tables.get("routes"), facts.tables.get("services")
        if self._seen and seen[0] is self._seen[0] and seen[1] is self._seen[1]:
            return False
        self._orphans = orphans.after(self._orphans, self._instances, facts.services, now)
        self._seen, self._instances, self.revision = seen, facts.services, facts.revision
        self._follow(facts)
        return True

    def tick(self, now: float) -> None:
        """Let go of what has had its time."""
        for target in self._targets.values():
            target.tick(now)
        kept = {key: entry for key, entry in self._orphans.items() if entry[1] > now}
        if len(kept) != len(self._orphans):
            self._orphans = kept
            self._place()

    def refused(self, target: Target) -> None:
        """Nobody listens there: an orphan is dropped at once, since no daemon will say so."""
        if target.key in self._orphans:
            self._orphans = {key: entry for key, entry in self._orphans.items() if key != target.key}
            self._place()

    def draining(self) -> dict[str, int]:
        """Requests in flight on each draining instance, by `SERVICE/INSTANCE`."""
        return {key: t.in_flight for key, t in self._targets.items() if t.instance.draining}

    def close_idle(self) -> None:
        """Close all warm connections."""
        for target in self._targets.values():
            target.close_idle()

    def _follow(self, facts: Facts) -> None:
        names = {route.service for route in facts.routes.values()} | {i.service for i in facts.services.values()}
        self.services = {name: self.services.get(name) or Service(name) for name in sorted(names)}
        self._place()
        before, self.places = self.places, {}
        for id, route in facts.routes.items():
            old = before.get(id)
            same = old is not None and old.route == route and old.service is self.services[route.service]
            self.places[id] = old if old and same else Place(route, self.services[route.service], old)
        http = [route for route in facts.routes.values() if route.kind == "http"]
        self.table = build(http, lambda route: self.places[route.id])

    def _place(self) -> None:
        """Give each service its targets, and retire those that have none."""
        before, self._targets = self._targets, {}
        lost = {key: instance for key, (instance, _) in self._orphans.items()}
        found: dict[tuple[str, bool], list[Target]] = {}
        for key, instance in [*self._instances.items(), *lost.items()]:
            target = before.get(key)
            if target is None or target.instance.address != instance.address:
                target = Target(key, instance, self.when_less)
            target.follow(instance)
            self._targets[key] = target
            if not target.retired:
                found.setdefault((instance.service, key in lost), []).append(target)
        for key, target in before.items():
            if self._targets.get(key) is not target:
                target.retire()
        for service in self.services.values():
            service.targets = tuple(found.get((service.name, False), ()))
            service.orphans = tuple(found.get((service.name, True), ()))

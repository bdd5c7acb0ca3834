"""Facts in, table out: which places and targets there are, changed where the facts change and nowhere else."""

from collections.abc import Callable, Iterable

from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.core.model import Instance, Route
from flynn.router.orphans import Orphans
from flynn.router.place import Place
from flynn.router.service import Service
from flynn.router.table import Table
from flynn.router.target import Target


class Registry:
    """The table in use, the services it names and the targets they have, changed in one step when the facts change."""

    def __init__(self, when_less: Callable[[], None] = lambda: None, host: str = "") -> None:
        self.table = Table()
        self.places: dict[str, Place] = {}
        """Those of all routes, by the route's id."""
        self.tcp: dict[str, Route] = {}
        """The TCP routes, which the table does not have."""
        self.services: dict[str, Service] = {}
        """Those that a route names or that have an instance."""
        self.targets = 0
        """How many targets all services have."""
        self.revision = 0
        self.when_less = when_less
        self.host = host
        """The machine that this router is on: its instances may be asked through their UNIX sockets."""
        self._facts: Facts | None = None
        self._orphans = Orphans()
        self._draining: dict[str, Target] = {}
        self._warm: set[Target] = set()

    def swap(self, facts: Facts, now: float) -> bool:
        """Follow the facts; False when nothing in them concerns the router."""
        before, self._facts = self._facts, facts
        if before and facts.routes is before.routes and facts.services is before.services:
            return False
        self.revision = facts.revision
        self._expire(now)
        self._follow_instances(before or Facts(), facts, now)
        self._follow_routes(before or Facts(), facts)
        return True

    def tick(self, now: float) -> None:
        """Let go of what has had its time."""
        for target in tuple(self._warm):
            target.tick(now)
        self._expire(now)

    def refused(self, target: Target) -> None:
        """Nobody listens there: an orphan is dropped at once, since no daemon will say so."""
        if self._orphans.discard(target.key):
            self._settle(self._remove(target.key))

    def draining(self) -> dict[str, int]:
        """Requests in flight on each draining instance, by `SERVICE/INSTANCE`."""
        return {key: target.in_flight for key, target in self._draining.items()}

    def close_idle(self) -> None:
        """Close all warm connections."""
        for target in self._warm:
            target.close_idle()

    def _follow_instances(self, old: Facts, facts: Facts, now: float) -> None:
        for name, before, after in diff(old.instances_by_service, facts.instances_by_service):
            service = self._service(name)
            for key, was, instance in diff(before or EMPTY, after or EMPTY):
                if instance is not None:
                    self._keep(service, key, instance).born = facts.stamps["services"][key].created
                elif was is not None and was.draining:
                    self._remove(key)
                else:
                    self._orphans.add(key, now)
            self._settle(service)

    def _keep(self, service: Service, key: str, instance: Instance) -> Target:
        """The target of a registered instance: the one that there was, as long as it has the same address."""
        self._orphans.discard(key)
        self._draining.pop(key, None)
        target = service.instances.get(key)
        if target is None or target.instance.address != instance.address:
            if target is not None:
                service.lose(target)
            target = service.instances[key] = Target(key, instance, self.when_less, self._warm)
        target.follow(instance)
        target.path = instance.socket if instance.host == self.host else ""
        if instance.draining:
            self._draining[key] = target
        return target

    def _remove(self, key: str) -> Service:
        """Drop an instance; the service that had it."""
        service = self.services[key.partition("/")[0]]
        service.lose(service.instances.pop(key))
        self._draining.pop(key, None)
        return service

    def _expire(self, now: float) -> None:
        for service in {self._remove(key) for key in self._orphans.expire(now)}:
            self._settle(service)

    def _settle(self, service: Service) -> None:
        """Give a service its targets, now that its instances are others."""
        before = len(service.targets)
        serving = [target for target in service.instances.values() if not target.retired]
        service.targets = tuple(target for target in serving if target.key not in self._orphans)
        service.orphans = tuple(target for target in serving if target.key in self._orphans)
        self.targets += len(service.targets) - before
        self._drop_unused(service)

    def _follow_routes(self, old: Facts, facts: Facts) -> None:
        gone: list[Place] = []
        new: list[Place] = []
        for id, was, route in diff(old.routes, facts.routes):
            if was == route:
                continue
            before = self.places.pop(id, None)
            if before is not None:
                gone.append(before)
            if route is not None:
                place = self.places[id] = Place(route, self._service(route.service), before)
                new.append(place)
        self.table.change([place for place in gone if _is_http(place)], [place for place in new if _is_http(place)])
        self._count(gone, new)

    def _count(self, gone: Iterable[Place], new: Iterable[Place]) -> None:
        """Keep what depends on which places there are: `tcp`, and the services in use."""
        for place in new:
            place.service.routes += 1
        for place in gone:
            place.service.routes -= 1
            self._drop_unused(place.service)
            self.tcp.pop(place.route.id, None)
        self.tcp.update((place.route.id, place.route) for place in new if not _is_http(place))

    def _service(self, name: str) -> Service:
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = Service(name)
        return service

    def _drop_unused(self, service: Service) -> None:
        if not service.routes and not service.instances:
            self.services.pop(service.name, None)


def _is_http(place: Place) -> bool:
    return place.route.kind == "http"

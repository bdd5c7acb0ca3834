"""The registry, followed change by change, against one that sees the last facts only."""

from dataclasses import dataclass, field
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys
from flynn.core.facts import Facts, encode
from flynn.core.model import Host, Instance, Record, Route
from flynn.core.store import Batch, Item
from flynn.router.orphans import KEPT
from flynn.router.place import Place
from flynn.router.registry import Registry
from flynn.router.target import Target

HOSTS = ("a.test", "*.test", "*")
PATHS = ("/", "/x")
ASKED = tuple(product((b"a.test", b"b.test", b"other"), (b"/", b"/x")))

ROUTES = st.builds(
    Route,
    id=st.sampled_from(["r1", "r2", "r3", "r4"]),
    domain=st.sampled_from(HOSTS),
    path=st.sampled_from(PATHS),
    service=st.sampled_from("st"),
    created=st.integers(0, 3).map(float),
    kind=st.sampled_from(["http", "http", "tcp"]),
)
INSTANCES = st.builds(
    Instance,
    id=st.sampled_from("ij"),
    service=st.sampled_from("stu"),
    address=st.sampled_from(["127.0.0.1:1", "127.0.0.1:2"]),
    host=st.just("h"),
    draining=st.booleans(),
)
COMMIT = st.lists(st.tuples(ROUTES | INSTANCES, st.booleans()), min_size=1, max_size=4)
PAUSE = st.sampled_from([0.0, 1.0, KEPT - 1.0, KEPT])
STEPS = st.lists(st.tuples(PAUSE, COMMIT | st.sampled_from(["tick", "afresh", "else"])), max_size=10)


def key_of(record: Record) -> str:
    if isinstance(record, Route):
        return keys.route(record.id)
    assert isinstance(record, Instance)
    return keys.instance(record.service, record.id)


@dataclass
class Grid:
    """Facts that change, and when each instance lost its registration while it did not drain."""

    facts: Facts = field(default_factory=Facts)
    items: dict[str, Item] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)

    def commit(self, changes: list[tuple[Record, bool]], now: float) -> None:
        revision = self.facts.revision + 1
        last = {key_of(record): (record, here) for record, here in changes}
        gone = tuple(key for key, (_, here) in last.items() if not here)
        puts = {
            key: Item(key, encode(record), self.items[key].created if key in self.items else revision, revision)
            for key, (record, here) in last.items()
            if here
        }
        before, self.facts = self.facts, self.facts.after(Batch(revision, tuple(puts.values()), gone))
        self.items = {key: item for key, item in (self.items | puts).items() if key not in gone}
        for key, instance in before.services.items():
            if key not in self.facts.services and not instance.draining:
                self.lost[key] = now
        self.lost = {key: since for key, since in self.lost.items() if key not in self.facts.services}

    def orphans(self, now: float) -> set[str]:
        return {key for key, since in self.lost.items() if since + KEPT > now}


def places(registry: Registry) -> list[Route | None]:
    found = [registry.table.find(host, target) for host, target in ASKED]
    return [place.route if place else None for place in found]


def shown(registry: Registry) -> dict[str, set[tuple[str, str, int, bool]]]:
    """The targets of each service that a route names, or that has one."""
    return {
        name: {(t.key, t.instance.address, t.born, t.retired) for t in service.targets}
        for name, service in registry.services.items()
        if service.targets or service.routes
    }


def orphans(registry: Registry) -> set[str]:
    found = [target for service in registry.services.values() for target in service.orphans]
    assert not any(target.retired for target in found)
    return {target.key for target in found}


@given(STEPS)
def test_it_is_as_if_built_afresh(steps: list[tuple[float, list[tuple[Record, bool]] | str]]) -> None:
    registry, grid, now = Registry(), Grid(), 0.0
    for pause, step in steps:
        now += pause
        if step == "tick":
            registry.tick(now)
        elif step == "afresh":
            grid.facts = Facts.fresh(grid.items.values(), grid.facts.revision)
            registry.swap(grid.facts, now)
        elif step == "else":
            other = Item(keys.host("h"), encode(Host(name="h", address="", url="", started=now)), 1, 1)
            grid.facts = grid.facts.after(Batch(grid.facts.revision + 1, (other,), ()))
            registry.swap(grid.facts, now)
        else:
            assert isinstance(step, list)
            grid.commit(step, now)
            if registry.swap(grid.facts, now):
                assert orphans(registry) == grid.orphans(now)
        fresh = Registry()
        fresh.swap(grid.facts, now)
        assert places(registry) == places(fresh)
        assert shown(registry) == shown(fresh)
        assert registry.draining() == fresh.draining()
        assert registry.targets == fresh.targets == sum(len(s.targets) for s in registry.services.values())
        assert registry.places.keys() == fresh.places.keys() == grid.facts.routes.keys()
        assert registry.tcp == {id: route for id, route in grid.facts.routes.items() if route.kind == "tcp"}
        assert all(place.service is registry.services[place.route.service] for place in registry.places.values())
        assert all(service.instances or service.routes for service in registry.services.values())
        registry.tick(now)
        assert orphans(registry) == grid.orphans(now)


def swapped(registry: Registry, revision: int, *records: Record) -> Facts:
    facts = Facts.of({key_of(record): record for record in records}, revision)
    assert registry.swap(facts, float(revision))
    return facts


def place_of(registry: Registry, host: bytes) -> Place:
    place = registry.table.find(host, b"/")
    assert place is not None
    return place


def test_only_a_route_that_changed_has_a_new_place_and_it_keeps_the_counts() -> None:
    registry = Registry()
    one, two = (Route(id=f"r{n}", domain=f"{n}.test", service="s") for n in (1, 2))
    swapped(registry, 1, one, two)
    before = [place_of(registry, host) for host in (b"1.test", b"2.test")]
    before[0].counts.ended(200, 0.1)
    swapped(registry, 2, Route(id="r1", domain="1.test", service="s", maintenance=True), two)
    after = [place_of(registry, host) for host in (b"1.test", b"2.test")]
    assert after[0] is not before[0]
    assert after[0].counts.answers() == {"2xx": 1}
    assert before[0].route is not after[0].route
    assert after[1] is before[1]


def test_what_does_not_concern_the_router_is_passed_over() -> None:
    registry = Registry()
    facts = swapped(registry, 1, Route(id="r", domain="a.test", service="s"))
    other = Item(keys.host("h"), encode(Host(name="h", address="", url="", started=1.0)), 2, 2)
    assert not registry.swap(facts.after(Batch(2, (other,), ())), 2.0)
    assert registry.revision == 1


def test_a_target_lives_on_while_its_instance_has_the_same_address() -> None:
    registry = Registry()

    def target(revision: int, address: str, **more: bool) -> Target:
        record = Instance(id="i", service="s", address=address, host="h", **more)  # type: ignore[arg-type]
        swapped(registry, revision, record)
        return registry.services["s"].instances["s/i"]

    first = target(1, "127.0.0.1:1")
    assert target(2, "127.0.0.1:1", draining=True) is first
    assert first.retired
    assert target(3, "127.0.0.1:1") is first
    assert not first.retired
    second = target(4, "127.0.0.1:2")
    assert second is not first
    assert first.retired
    swapped(registry, 5, Route(id="r", domain="a.test", service="s"))
    assert registry.services["s"].orphans == (second,)
    registry.refused(second)
    assert second.retired
    assert registry.services["s"].orphans == ()


def test_orphans_have_their_time() -> None:
    for by_tick in (True, False):
        registry = Registry()
        routes = [Route(id=f"r{n}", domain=f"{n}.test", service="s") for n in (1, 2)]
        swapped(registry, 1, Instance(id="i", service="s", address="127.0.0.1:1", host="h"), *routes)
        swapped(registry, 2, *routes)
        (orphan,) = registry.services["s"].orphans
        registry.tick(2.0 + KEPT - 0.1)
        assert not orphan.retired
        if by_tick:
            registry.tick(2.0 + KEPT)
        else:
            registry.swap(Facts.of({key_of(routes[0]): routes[0]}, 3), 2.0 + KEPT)
        assert orphan.retired
        assert registry.services["s"].orphans == ()

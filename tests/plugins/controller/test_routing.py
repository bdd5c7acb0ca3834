"""Routes decided on photos: what may be, what each must have for itself, and that no order of events breaks it."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Exists, FlynnError, Full, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.controller import routing
from flynn.plugins.controller.leftovers import leftovers
from flynn.plugins.controller.route_ports import POOL, kept_ports
from flynn.plugins.controller.route_rules import check_route
from tests.plugins.controller.world import World

HTTP = model.Route(id="", service="hello-web", domain="www.example.com", app="hello")
TCP = model.Route(id="", service="hello-db", app="hello", kind="tcp")

TWINS = ("a63461.example.com", "a85243.example.com")
"""Two domains whose first ids are the same."""


def added(world: World, wanted: model.Route, luck: int = 0) -> model.Route:
    """The route as it is written."""
    change = routing.add_route(world.facts, wanted, luck)
    [route] = change.puts.values()
    world.write(change)
    assert isinstance(route, model.Route)
    return route


def tcp_world(*ports: int) -> World:
    world = World()
    for port in ports:
        route = replace(TCP, id=f"r{port}", port=port)
        world.put(keys.route(route.id), route)
    return world


GOOD: list[Mapping[str, Any]] = [
    {"sticky": True, "connect_timeout": 60.0, "first_byte_timeout": 3600.0, "idle_timeout": 0.5, "body_timeout": 1.0},
    {"leader": True, "body_limit": 1 << 40, "max_in_flight": 100_000, "queue": 10_000, "maintenance": True},
    {"pages": {"400": "x" * 16384, "599": "x" * 16384, "error": "é" * 8192, "maintenance": "x" * 16384}},
    {"domain": "*"},
    {"domain": "*.example.com", "path": "/a/%20~!&'()*+,;=:@$-._"},
    {"kind": "tcp", "domain": "", "port": 65535, "connect_timeout": 1.0, "idle_timeout": 60.0, "leader": True},
    {"kind": "tcp", "domain": "", "port": 1024, "max_in_flight": 5},
]


@pytest.mark.parametrize("fields", GOOD)
def test_what_a_route_may_be(fields: Mapping[str, Any]) -> None:
    route = replace(HTTP, **fields)
    assert check_route(route) is route


BAD: list[tuple[Mapping[str, Any], str]] = [
    ({"connect_timeout": 60.1}, "connect_timeout = 60.1 is no good; seconds from 0 to 60"),
    ({"first_byte_timeout": 3601.0}, "seconds from 0 to 3600"),
    ({"idle_timeout": -1.0}, "idle_timeout = -1"),
    ({"body_timeout": math.nan}, "body_timeout = nan"),
    ({"idle_timeout": math.inf}, "idle_timeout = inf"),
    ({"body_limit": (1 << 40) + 1}, "bytes from 0 to 1099511627776"),
    ({"body_limit": -1}, "body_limit = -1"),
    ({"max_in_flight": 100_001}, "requests from 0 to 100000"),
    ({"max_in_flight": 1, "queue": 10_001}, "requests from 0 to 10000"),
    ({"queue": 1}, "queue needs max_in_flight"),
    ({"sticky": True, "leader": True}, "not both"),
    ({"pages": {"200": "x"}}, "'200' has no page"),
    ({"pages": {"600": "x"}}, "'600' has no page"),
    ({"pages": {"٤٠٤": "x"}}, "has no page"),
    ({"pages": {"503": "é" * 8193}}, "16 KiB"),
    ({"pages": {str(status): "x" * 16384 for status in range(500, 505)}}, "64 KiB"),
    ({"port": 3000}, "no port of its own"),
    ({"domain": ""}, "is no domain"),
    ({"domain": "www.example.com:80"}, "is no domain"),
    ({"path": "/a b"}, "is no path"),
    ({"path": "/a?b"}, "is no path"),
    ({"path": "/a#b"}, "is no path"),
    ({"path": "a"}, "is no path"),
    ({"service": "Web!"}, "service name"),
    ({"kind": "tcp", "port": 3000}, "a TCP route has no domain; it takes service, port"),
]


@pytest.mark.parametrize(("fields", "told"), BAD)
def test_what_a_route_may_not_be(fields: Mapping[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_route(replace(HTTP, **fields))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"sticky": True}, {"maintenance": True}, {"first_byte_timeout": 1.0}, {"body_timeout": 1.0},
        {"body_limit": 1}, {"max_in_flight": 1, "queue": 1}, {"pages": {"503": "x"}}, {"path": "/a"},
    ],
)  # fmt: skip
def test_what_a_tcp_route_has_not(fields: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid, match="a TCP route has no"):
        check_route(replace(TCP, port=3000, **fields))


@pytest.mark.parametrize(
    ("domain", "path"), [("WWW.example.COM", "/api"), ("www.example.com.", "/api/"), ("www.example.com", "/api//")]
)
def test_a_domain_and_path_are_one_routes_alone_however_they_are_written(domain: str, path: str) -> None:
    world = World()
    first = added(world, replace(HTTP, path="/api"))
    with pytest.raises(Exists) as refused:
        routing.add_route(world.facts, replace(HTTP, domain=domain, path=path, app="other"))
    assert str(refused.value) == (
        f"www.example.com/api leads to the app hello already; remove that route first ({first.id})"
    )
    assert added(world, HTTP).path == "/"
    assert added(world, replace(HTTP, path="/API")).path == "/API"


def test_a_route_of_any_other_id_holds_its_place_too() -> None:
    world = World()
    world.put(keys.route("old"), replace(HTTP, id="old", app="", path="/api/"))
    with pytest.raises(Exists, match=r"service hello-web already; remove that route first \(old\)"):
        routing.add_route(world.facts, replace(HTTP, path="/api"))
    world.put(keys.route("git"), replace(HTTP, id="git", app="", service="git", domain="git.example.com"))
    with pytest.raises(Exists, match=r"git\.example\.com is the grid's own; choose another name"):
        routing.add_route(world.facts, replace(HTTP, domain="git.example.com"))


def test_two_places_with_the_same_first_id_get_two_ids() -> None:
    world = World()
    first, second = (added(world, replace(HTTP, domain=domain)) for domain in TWINS)
    assert first.id != second.id
    world.write(routing.remove_route(world.facts, first.id))
    with pytest.raises(Exists):
        routing.add_route(world.facts, replace(HTTP, domain=TWINS[1]))


def test_a_second_id_holds_only_while_the_first_is_taken() -> None:
    world = World()
    other = added(world, replace(HTTP, domain=TWINS[0]))
    late = routing.add_route(world.facts, replace(HTTP, domain=TWINS[1]))
    guards = late.guards(world.facts)
    world.write(routing.remove_route(world.facts, other.id))
    assert added(world, replace(HTTP, domain=TWINS[1])).id == other.id
    assert any(world.facts.unchanged(guard.key) != guard for guard in guards)


def test_ports_come_from_the_pool_lowest_first() -> None:
    world = tcp_world(3000, 3002)
    assert [added(world, TCP).port for _ in range(3)] == [3001, 3003, 3004]
    assert added(world, TCP, luck=POOL[-1] - 3005).port == POOL[-1]
    assert added(world, TCP, luck=len(POOL) - 6).port == 3005


def test_a_pool_with_no_port_left_says_so() -> None:
    world = tcp_world(*POOL)
    with pytest.raises(Full, match="all ports from 3000 to 3500 have a route"):
        routing.add_route(world.facts, TCP)
    assert added(world, replace(TCP, port=3501)).port == 3501


@pytest.mark.parametrize("port", [1111, 8080, 2379, 2380, 3000, 3001, 80, 1023, 65536, -1])
def test_ports_that_nobody_can_have(port: int) -> None:
    world = World()
    host = model.Host(name="a", address="10.0.0.1", url="http://10.0.0.1:3000", started=0.0)
    world.put(keys.host("a"), host)
    world.put(keys.router("a"), model.Router(host="a", revision=1, port=3001))
    assert kept_ports(world.facts)[3000] == "the node API of a"
    with pytest.raises(Invalid) as refused:
        routing.add_route(world.facts, replace(TCP, port=port))
    assert str(port) in str(refused.value)
    assert added(world, TCP).port == 3002


def test_a_port_is_one_routes_alone() -> None:
    world = World()
    first = added(world, replace(TCP, port=5432))
    with pytest.raises(Exists) as refused:
        routing.add_route(world.facts, replace(TCP, port=5432))
    assert str(refused.value) == f"TCP port 5432 leads to the app hello already; remove that route first ({first.id})"


def test_options_change_and_pages_are_set_and_removed_one_by_one() -> None:
    world = World()
    route = added(world, replace(HTTP, sticky=True, pages={"503": "away", "404": "gone"}))
    options = {"sticky": False, "max_in_flight": 10, "pages": {"404": "", "error": "oh"}}
    world.write(routing.change_route(world.facts, route.id, options))
    changed = world.facts.routes[route.id]
    assert changed == replace(route, sticky=False, max_in_flight=10, pages={"503": "away", "error": "oh"})
    assert routing.change_route(world.facts, route.id, options) == Change()
    with pytest.raises(Invalid, match="not both"):
        routing.change_route(world.facts, route.id, {"sticky": True, "leader": True})
    with pytest.raises(NotFound):
        routing.change_route(world.facts, "nosuch", options)


def test_all_http_routes_of_an_app_change_as_many_at_once_as_a_commit_takes() -> None:
    world = World()
    for number in range(200):
        added(world, replace(HTTP, path=f"/{number}"))
    added(world, replace(HTTP, domain="other.example.com", app="other"))
    added(world, TCP)
    options = {"maintenance": True, "pages": {"maintenance": '"' * 16384}}
    commits = 0
    while (change := routing.change_routes(world.facts, "hello", options)).puts:
        assert len(change.puts) <= 90
        assert sum(len(msgspec.json.encode(record)) for record in change.puts.values()) < 1 << 20
        world.write(change)
        commits += 1
    assert commits >= 200 * 32768 // (512 * 1024)
    assert sum(route.maintenance for route in world.facts.routes.values()) == 200
    with pytest.raises(Invalid, match="nobody has no HTTP route"):
        routing.change_routes(world.facts, "nobody", options)


def test_a_deleted_apps_routes_of_both_kinds_are_left_over() -> None:
    world = World()
    routes = [added(world, HTTP), added(world, TCP)]
    assert sorted(leftovers(world.facts, "hello")) == sorted(keys.route(route.id) for route in routes)


WANTED = [
    *(replace(HTTP, domain=domain) for domain in (*TWINS, TWINS[0].upper(), TWINS[1] + ".")),
    *(TCP, TCP, replace(TCP, port=3000), replace(TCP, port=3001)),
]

ACTS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "remove", "change"]), st.integers(0, 7), st.integers(0, 3)), max_size=25
)
"""What is done, with which, and on a photo how many commits old."""


@given(ACTS)
def test_whoever_decides_on_whatever_old_photo_no_two_routes_have_one_place(acts: list[tuple[str, int, int]]) -> None:
    world = World()
    photos = [world.facts]
    for name, which, age in acts:
        old = photos[max(len(photos) - 1 - age, 0)]
        try:
            change = decided(old, name, which)
        except FlynnError:
            continue
        if all(world.facts.unchanged(guard.key) == guard for guard in change.guards(old)):
            world.write(change)
            photos.append(world.facts)
        places = [routing.place(route) for route in world.facts.routes.values()]
        assert len(places) == len(set(places))


def test_a_place_is_not_taken_twice_though_its_first_id_was_anothers_meanwhile() -> None:
    world = World()
    old = world.facts
    first = added(world, replace(HTTP, domain=TWINS[0]))
    added(world, replace(HTTP, domain=TWINS[1]))
    world.write(routing.remove_route(world.facts, first.id))
    again = routing.add_route(old, replace(HTTP, domain=TWINS[1]))
    assert any(world.facts.unchanged(guard.key) != guard for guard in again.guards(old))


def decided(facts: Facts, name: str, which: int) -> Change:
    ids = sorted(facts.routes) or ["none"]
    if name == "add":
        return routing.add_route(facts, WANTED[which])
    if name == "remove":
        return routing.remove_route(facts, ids[which % len(ids)])
    return routing.change_route(facts, ids[which % len(ids)], {"leader": which % 2 == 0})

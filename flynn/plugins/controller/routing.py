"""Routes made, changed and removed, decided on a photo of the grid. Pure.

A route's id is made from what must be its own alone, domain and path or port: two that add the same at once write the
same key, and the store lets only one. A path needs no route for `/` of its domain: what no route matches is answered
by routers with 404.
"""

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Exists, Invalid, NotFound
from flynn.core.facts import Facts, encode
from flynn.plugins.controller.route_ports import choose_port, tcp_routes
from flynn.plugins.controller.route_rules import check_route

AT_ONCE = 90
"""Routes changed in one commit,"""

BYTES_AT_ONCE = 512 * 1024
"""and bytes of them, but for a single one (etcd refuses requests over 1.5 MiB)."""

Options = Mapping[str, Any]
"""Fields of a route by name, those that were given. Of `pages` those named are set, or removed by an empty one."""


def find_route(facts: Facts, id: str) -> model.Route:
    """The route of that id. NotFound says how to see which there are."""
    route = facts.routes.get(id)
    if route is None:
        raise NotFound(f"there is no route {id[:60]!r}; `flynn route` lists them", route=id[:60])
    return route


def add_route(facts: Facts, wanted: model.Route, luck: int = 0) -> Change:
    """The route wanted, its id and its port (0: any) chosen here; `luck` spreads those that want any port at once.

    Exists: another route has its domain and path, or its port. Full: no port is left.
    """
    if wanted.kind == "tcp":
        route = check_route(replace(wanted, port=choose_port(facts, wanted.port, luck)))
        same = tcp_routes(facts, route.port)
    else:
        route = check_route(replace(wanted, domain=wanted.domain.lower().rstrip("."), path=_plain(wanted.path)))
        same = [r for r in facts.routes.values() if r.domain == route.domain and _plain(r.path) == route.path]
    if same:
        if not same[0].app and same[0].id == same[0].service:
            raise Exists(f"{place(route)} is the grid's own; choose another name", route=same[0].id)
        owner = f"app {same[0].app}" if same[0].app else f"service {same[0].service}"
        raise Exists(
            f"{place(route)} leads to the {owner} already; remove that route first ({same[0].id})",
            route=same[0].id,
            app=same[0].app,
        )
    id, passed = _free_id(facts, place(route))
    seen = (*passed, keys.app(route.app)) if route.app else passed
    return Change({keys.route(id): replace(route, id=id)}, seen=seen, why=f"route {place(route)} to {route.service}")


def change_route(facts: Facts, id: str, options: Options) -> Change:
    """Other options for one route."""
    old = find_route(facts, id)
    new = check_route(with_options(old, options))
    return Change() if new == old else Change({keys.route(id): new}, why=f"change route {id}")


def change_routes(facts: Facts, app: str, options: Options) -> Change:
    """Other options for the HTTP routes of an app: as many as a commit takes, of those that do not have them yet."""
    owned = [route for route in facts.routes_of(app) if route.kind == "http"]
    if not owned:
        raise Invalid(f"{app} has no HTTP route; `flynn route add http HOST` makes one", app=app)
    puts: dict[str, model.Record] = {}
    size = 0
    for route in owned:
        new = check_route(with_options(route, options))
        if new == route:
            continue
        size += len(encode(new))
        if puts and (size > BYTES_AT_ONCE or len(puts) == AT_ONCE):
            break
        puts[keys.route(route.id)] = new
    return Change(puts, seen=(keys.app(app),), why=f"change routes of {app}")


def remove_route(facts: Facts, id: str) -> Change:
    find_route(facts, id)
    return Change(deletes=(keys.route(id),), why=f"remove route {id}")


def with_options(route: model.Route, options: Options) -> model.Route:
    """The route with these options, whatever they are."""
    pages = {**route.pages, **options.get("pages", {})}
    return replace(route, **{**options, "pages": {name: page for name, page in pages.items() if page}})


def place(route: model.Route) -> str:
    """What is a route's alone, in words: `www.example.com/api`, `TCP port 3000`."""
    return f"TCP port {route.port}" if route.kind == "tcp" else route.domain + route.path.rstrip("/")


def _plain(path: str) -> str:
    """A path as routers compare it: slashes at its end make no difference."""
    return "/" + path.strip("/") if path.startswith("/") else path


def _free_id(facts: Facts, place: str) -> tuple[str, tuple[str, ...]]:
    """The first id of a place that no other has, and the keys that must stay as they are: of those passed over, and the
    next one. There the same place may be by now, if the photo is so old that the first was another's meanwhile."""
    passed: list[str] = []
    for number in itertools.count():
        id = _id(place, number)
        if facts.stamp(keys.route(id)) is None:
            return id, (*passed, keys.route(_id(place, number + 1)))
        passed.append(keys.route(id))
    raise AssertionError("there is no end of numbers")


def _id(place: str, number: int) -> str:
    return hashlib.sha256(f"{place} {number}".encode()).hexdigest()[:8]

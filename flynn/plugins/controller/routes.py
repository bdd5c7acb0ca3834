"""The API of routes: which domain, or which port, leads to which app, and how."""

import secrets
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.facts import Facts
from flynn.core.once import Made, once
from flynn.core.version import etag, unless_changed
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import Route, answer, body
from flynn.plugins.controller import decide, routing
from flynn.plugins.controller.route_ports import POOL


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a route treats requests; `model.Route` says what each field means."""

    sticky: bool | UnsetType = UNSET
    leader: bool | UnsetType = UNSET
    maintenance: bool | UnsetType = UNSET
    connect_timeout: float | UnsetType = UNSET
    first_byte_timeout: float | UnsetType = UNSET
    idle_timeout: float | UnsetType = UNSET
    body_timeout: float | UnsetType = UNSET
    body_limit: int | UnsetType = UNSET
    max_in_flight: int | UnsetType = UNSET
    queue: int | UnsetType = UNSET
    pages: dict[str, str] | UnsetType = UNSET


class RouteChange(Options):
    service: str | UnsetType = UNSET


class NewRoute(Options):
    kind: Literal["http", "tcp"] = "http"
    domain: str = ""
    path: str = "/"
    port: int = 0
    service: str = ""


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    api, of_app = RoutesApi(ctx), "/v1/apps/{app}/routes"
    return [
        Route("GET", of_app, api.list.answer, "its routes, oldest first", Watched.gives(model.Route), query=Watch),
        Route("GET", "/v1/routes", api.all.answer, "all routes", Watched.gives(model.Route), query=Watch),
        Route("POST", of_app, api.add, "make a route", model.Route, NewRoute, status=201),
        Route("PATCH", of_app, api.change_all, "change its HTTP routes", list[model.Route], Options),
        Route("GET", "/v1/routes/{id}", api.show, "a route", model.Route, versioned=True),
        Route("PATCH", "/v1/routes/{id}", api.change, "change a route", model.Route, RouteChange, versioned=True),
        Route("DELETE", "/v1/routes/{id}", api.remove, "remove a route", model.Route, versioned=True),
    ]


class RoutesApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.list = Watched(ctx, ("apps", "routes"), routes_of_app)
        self.all = Watched(ctx, ("routes",), all_routes)

    async def show(self, request: web.Request, id: str) -> web.Response:
        facts = self.ctx.mirror.facts
        return answer(routing.find_route(facts, id), headers=etag(facts, keys.route(id)))

    async def add(self, request: web.Request, app: str) -> web.Response:
        wanted = new_route(await body(request, NewRoute), app, self.ctx.clock())
        luck = 0

        def decided(facts: Facts) -> tuple[Change, Made]:
            nonlocal luck
            decide.find_app(facts, app)
            change = routing.add_route(facts, wanted, luck)
            luck = secrets.randbelow(len(POOL))  # Somebody else may want the lowest port too: then any.
            [key] = change.puts
            return change, {"id": key.partition("/")[2]}

        facts, made = await once(self.ctx, request, decided)
        return answer(routing.find_route(facts, made["id"]), 201)

    async def change(self, request: web.Request, id: str) -> web.Response:
        wanted = given(await body(request, RouteChange))
        decided = unless_changed(request, keys.route(id), lambda facts: routing.change_route(facts, id, wanted))
        facts = await self._carry_out(decided)
        return answer(routing.find_route(facts, id))

    async def change_all(self, request: web.Request, app: str) -> web.Response:
        wanted = given(await body(request, Options))
        decide.find_app(self.ctx.mirror.facts, app)

        def decided(facts: Facts) -> Change:
            decide.find_app(facts, app)
            return routing.change_routes(facts, app, wanted)

        facts = await self._carry_out(decided)
        for _ in range(len(facts.routes_of(app))):  # A commit takes only so much; each has one route at least.
            if not decided(facts).puts:
                break
            facts = await self._carry_out(decided)
        return answer([route for route in facts.routes_of(app) if route.kind == "http"])

    async def remove(self, request: web.Request, id: str) -> web.Response:
        route = self.ctx.mirror.facts.routes.get(id)
        await self._carry_out(unless_changed(request, keys.route(id), lambda facts: routing.remove_route(facts, id)))
        return answer(route)

    async def _carry_out(self, decider: Callable[[Facts], Change]) -> Facts:
        return await carry_out(self.ctx.store, self.ctx.mirror, decider)


def routes_of_app(facts: Facts, asked: Watch, app: str) -> Rows:
    """The routes of an app by id, oldest first. NotFound."""
    decide.find_app(facts, app)
    return {route.id: route for route in facts.routes_of(app)}


def all_routes(facts: Facts, asked: Watch) -> Rows:
    """The routes of all apps, and of the grid itself."""
    return dict(sorted(facts.routes.items()))


def new_route(wanted: NewRoute, app: str, now: float) -> model.Route:
    """The route asked for, not looked at yet."""
    options = given(wanted) | {"service": wanted.service or keys.service(app, "web")}
    return routing.with_options(model.Route(id="", service="", app=app, created=now), options)


def given(wanted: msgspec.Struct) -> dict[str, Any]:
    """The fields that were given, and those that have a default."""
    return {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not UNSET}

"""The API of routes: which domain leads to which app."""

import secrets

import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.facts import Facts
from flynn.core.web import Route, answer, body
from flynn.plugins.controller import decide


class NewRoute(msgspec.Struct, forbid_unknown_fields=True):
    domain: str
    path: str = "/"
    service: str = ""


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def list_routes(request: web.Request, app: str) -> web.Response:
        decide.find_app(ctx.mirror.facts, app)
        owned = [route for route in ctx.mirror.facts.routes.values() if route.app == app]
        return answer(sorted(owned, key=lambda route: (route.created, route.id)))

    async def add(request: web.Request, app: str) -> web.Response:
        wanted = await body(request, NewRoute)
        id, now = secrets.token_hex(4), ctx.clock()
        service = wanted.service or keys.service(app, "web")

        def decided(facts: Facts) -> Change:
            decide.find_app(facts, app)
            change = decide.add_route(facts, app, wanted.domain, wanted.path, service, id, now)
            return Change(change.puts, seen=(keys.app(app),), why=change.why)

        facts = await carry_out(ctx.store, ctx.mirror, decided)
        return answer(facts.routes[id], 201)

    async def remove(request: web.Request, id: str) -> web.Response:
        route = ctx.mirror.facts.routes.get(id)
        await carry_out(ctx.store, ctx.mirror, lambda facts: decide.remove_route(facts, id))
        return answer(route)

    return [
        Route("GET", "/v1/apps/{app}/routes", list_routes),
        Route("POST", "/v1/apps/{app}/routes", add),
        Route("DELETE", "/v1/routes/{id}", remove),
    ]

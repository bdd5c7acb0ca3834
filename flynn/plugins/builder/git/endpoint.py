"""`git.DOMAIN`: the grid's own route, by which any router leads to any node that takes pushes."""

import asyncio
from typing import TYPE_CHECKING

from flynn.core import keys, model
from flynn.core.change import Change, carry_out
from flynn.core.errors import FlynnError
from flynn.core.facts import Facts

if TYPE_CHECKING:
    from flynn.core.brick import Context

NAME = "git"
"""Of the service, the route, and the domain below that of the grid."""

LONG = 3600.0
"""Seconds that a push may take to come, and that a build may be silent."""

RETRY = 5.0


def domain(grid: str) -> str:
    """Where git is answered in a grid of this domain, as routes have it."""
    return f"{NAME}.{grid}".lower().rstrip(".")


def routed(facts: Facts, grid: str, now: float) -> Change:
    """The route, if it is not there. A route of an app that has the domain stays."""
    there = facts.routes.get(NAME)
    if there and there.domain == domain(grid):
        return Change()
    if any(route.domain == domain(grid) for route in facts.routes.values()):
        return Change()
    route = model.Route(
        id=NAME, service=NAME, domain=domain(grid), created=now,
        first_byte_timeout=LONG, idle_timeout=LONG, body_timeout=LONG,
    )  # fmt: skip
    return Change({keys.route(NAME): route}, why=f"route {route.domain} to {NAME}")


def url(facts: Facts, app: str, grid: str) -> str:
    """Where an app is pushed to through a router; empty: there is no such way."""
    route = facts.routes.get(NAME)
    ports = [router.port for _, router in sorted(facts.routers.items()) if router.port]
    if route is None or route.domain != domain(grid) or not ports:
        return ""
    return f"http://{route.domain}" + (f":{ports[0]}" if ports[0] != 80 else "") + f"/{app}.git"


async def keep_route(ctx: "Context") -> None:
    """For ever: have the route made, and made again if it is removed, or if an app leaves the domain."""
    await make_route(ctx)
    if (route := ctx.mirror.facts.routes.get(NAME)) is None or route.service != NAME:
        ctx.log.warning("%s leads to an app: git pushes go to node APIs alone", domain(ctx.domain))
    async for facts in ctx.mirror.photos("routes"):
        if NAME not in facts.routes:
            await make_route(ctx)


async def make_route(ctx: "Context") -> None:
    """The route is there, or an app has its domain; however long the store is away."""
    while True:
        try:
            await carry_out(ctx.store, ctx.mirror, lambda facts: routed(facts, ctx.domain, ctx.clock()))
            return
        except FlynnError as error:
            ctx.log.info("no route for %s yet: %s", domain(ctx.domain), error)
        await asyncio.sleep(RETRY)

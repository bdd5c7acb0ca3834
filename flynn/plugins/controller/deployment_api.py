"""The API of deploys: how they go, and what is ordered of the one under way. What begins one takes these in its query:
`wait=true` lets it wait for one under way, `strategy` and `batch` are for it alone."""

from collections.abc import Callable, Collection
from typing import Annotated, Any

import msgspec
from aiohttp import web

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.errors import Conflict
from flynn.core.facts import Facts
from flynn.core.follow import ended_badly, follow_deploy
from flynn.core.once import once
from flynn.core.records import Deployment, Ordered
from flynn.core.version import unless_changed
from flynn.core.web import Route, answer, body, lines, query, send_line
from flynn.plugins.controller import decide
from flynn.plugins.controller.deploy.orders import cancel, promote
from flynn.plugins.controller.deploy.settings import BOUNDS, checked, set_deploying, settled
from flynn.plugins.controller.deploy.strategy import Strategy

WAIT = 900.0
"""Seconds that a deploy waits for one under way."""


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`wait`: until no deploy of the app is under way."""

    wait: bool = False


class HowDeploy(Turn, frozen=True, forbid_unknown_fields=True):
    """How this one deploy goes; empty or 0: as those of the app do."""

    strategy: str = ""
    batch: Annotated[int, msgspec.Meta(ge=0, le=int(BOUNDS["batch"][1]))] = 0


def strategies(ctx: Context) -> dict[str, Strategy]:
    """All deploy strategies by name; a plugin's counts more than flynn's own of the same name."""
    found: dict[str, Strategy] = {}
    for offered in reversed(ctx.hooks.hook.flynn_deploy_strategies()):
        found |= offered
    return found


def how_of(request: web.Request, known: Collection[str]) -> model.Deploying:
    """What a request says of its one deploy. Invalid: it cannot be."""
    asked = query(request, HowDeploy)
    return checked("the query", {"strategy": asked.strategy, "batch": asked.batch}, known)


async def turn(ctx: Context, app: str, request: web.Request) -> None:
    """Wait until no deploy of the app is under way, if the request says so. Conflict: there still is one."""
    if not query(request, Turn).wait:
        return
    try:
        await ctx.mirror.until(lambda facts: not under_way(facts, app), WAIT)
    except TimeoutError:
        raise Conflict(f"the deploy of {app} that is under way has not ended within {WAIT:g} s", app=app) from None


async def change_app(
    ctx: Context, request: web.Request, app: str, decide: Callable[[Facts, float], Change], kept: Callable[[Facts], str]
) -> web.StreamResponse:
    """Change an app, once it is its turn and if it still has the version that the request wants: the deploy that this
    begins, to its end; or, where it begins none, what `kept` says."""
    await turn(ctx, app, request)
    before, now = ctx.mirror.facts, ctx.clock()
    decided = unless_changed(request, keys.app(app), lambda facts: decide(facts, now))
    facts = await carry_out(ctx.store, ctx.mirror, decided)
    response = await lines(request)
    deploy = facts.deploys.get(app)
    if deploy and deploy.started == now:
        await follow_deploy(ctx, app, deploy.new, response, before)
    else:
        await send_line(response, {"kind": "done", "ok": True, "message": kept(facts), "seconds": 0.0})
    return response


def under_way(facts: Facts, app: str) -> bool:
    """Whether a deploy of the app is under way."""
    deploy = facts.deploys.get(app)
    return deploy is not None and deploy.state == "running"


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    known = strategies(ctx)

    async def show(request: web.Request, app: str) -> web.Response:
        return answer(_shown(ctx.mirror.facts, app, known))

    async def change(request: web.Request, app: str) -> web.Response:
        said = await body(request, dict[str, Any])
        facts = await _do(lambda facts: set_deploying(facts, decide.find_app(facts, app), said, known))
        return answer(_shown(facts, app, known))

    async def stop(request: web.Request, app: str) -> web.Response:
        now = ctx.clock()
        facts = await _do(lambda facts: cancel(facts, decide.find_app(facts, app).name, now))
        return answer(_told(facts, app))

    async def go_on(request: web.Request, app: str) -> web.Response:
        facts, _ = await once(ctx, request, lambda facts: (promote(facts, decide.find_app(facts, app).name), {}))
        return answer(_told(facts, app))

    async def _do(decider: Callable[[Facts], Change]) -> Facts:
        return await carry_out(ctx.store, ctx.mirror, decider)

    return [
        Route("GET", "/v1/apps/{app}/deployment", show, "how its deploys go", Deployment),
        Route("PATCH", "/v1/apps/{app}/deployment", change, "change how they go", Deployment, dict[str, Any]),
        Route("DELETE", "/v1/apps/{app}/deploy", stop, "end the deploy under way", Ordered),
        Route("POST", "/v1/apps/{app}/deploy/promote", go_on, "let a canary go on", Ordered),
    ]


def _shown(facts: Facts, app: str, known: Collection[str]) -> dict[str, Any]:
    """How the app's deploys go, as they would now, and the last of them."""
    how = settled(facts, decide.find_app(facts, app).deploying)
    return {"how": how, "strategies": sorted(known), "deploy": facts.deploys.get(app)}


def _told(facts: Facts, app: str) -> dict[str, Any]:
    """The deploy, and what became of it in a sentence."""
    deploy = facts.deploys[app]
    over = deploy.state in ("failed", "cancelled")
    message = ended_badly(facts, deploy) if over else f"v{deploy.new} of {app} goes on"
    return {"deploy": deploy, "message": message}

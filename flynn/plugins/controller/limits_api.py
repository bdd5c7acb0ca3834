"""The API of limits: show and set them."""

import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.change import carry_out
from flynn.core.follow import follow_deploy
from flynn.core.version import etag, unless_changed
from flynn.core.web import LINES, Route, answer, body, lines, send_line
from flynn.plugins.controller import limits
from flynn.plugins.controller.deployment_api import Turn, turn


class NewLimits(msgspec.Struct, forbid_unknown_fields=True):
    set: dict[str, dict[str, int]] = {}
    unset: dict[str, list[str]] = {}


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def show(request: web.Request, app: str) -> web.Response:
        facts = ctx.mirror.facts
        return answer(limits.effective(facts, app), headers=etag(facts, keys.app(app)))

    async def change(request: web.Request, app: str) -> web.StreamResponse:
        wanted = await body(request, NewLimits)
        await turn(ctx, app, request)
        before, now = ctx.mirror.facts, ctx.clock()
        facts = await carry_out(
            ctx.store,
            ctx.mirror,
            unless_changed(
                request,
                keys.app(app),
                lambda facts: limits.set_limits(facts, app, wanted.set, wanted.unset, now),
            ),
        )
        response = await lines(request)
        deploy = facts.deploys.get(app)
        if deploy and deploy.started == now:
            await follow_deploy(ctx, app, deploy.new, response, before)
        else:
            told = "the limits are kept for what starts next"
            await send_line(response, {"kind": "done", "ok": True, "message": told, "seconds": 0.0})
        return response

    return [
        Route(
            "GET",
            "/v1/apps/{app}/limits",
            show,
            "its limits by process type",
            dict[str, dict[str, int]],
            versioned=True,
        ),
        Route(
            "PATCH",
            "/v1/apps/{app}/limits",
            change,
            "change limits, and deploy them",
            LINES,
            NewLimits,
            Turn,
            versioned=True,
        ),
    ]

"""The API of limits: show and set them."""

import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.version import etag
from flynn.core.web import LINES, Route, answer, body
from flynn.plugins.controller import limits
from flynn.plugins.controller.deployment_api import Turn, change_app


class NewLimits(msgspec.Struct, forbid_unknown_fields=True):
    set: dict[str, dict[str, int]] = {}
    unset: dict[str, list[str]] = {}


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def show(request: web.Request, app: str) -> web.Response:
        facts = ctx.mirror.facts
        return answer(limits.effective(facts, app), headers=etag(facts, keys.app(app)))

    async def change(request: web.Request, app: str) -> web.StreamResponse:
        new = await body(request, NewLimits)
        return await change_app(
            ctx, request, app, lambda facts, now: limits.set_limits(facts, app, new.set, new.unset, now),
            lambda _: "the limits are kept for what starts next",
        )  # fmt: skip

    path, shown = "/v1/apps/{app}/limits", dict[str, dict[str, int]]
    words = "change limits, and deploy them"
    return [
        Route("GET", path, show, "its limits by process type", shown, versioned=True),
        Route("PATCH", path, change, words, LINES, NewLimits, Turn, versioned=True),
    ]

"""The API of an app's buildpacks: show and set them."""

from pathlib import Path

import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.addresses import mask
from flynn.core.brick import Context
from flynn.core.change import carry_out
from flynn.core.records import Buildpacks
from flynn.core.version import etag, unless_changed
from flynn.core.web import Route, answer, body
from flynn.plugins.controller.buildpacks import set_buildpacks
from flynn.plugins.controller.decide import find_app


class NewBuildpacks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    buildpacks: tuple[str, ...]


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    known = tuple(dict.fromkeys(Path(path).name for paths in ctx.hooks.hook.flynn_buildpacks() for path in paths))

    def shown(app: str) -> Buildpacks:
        return Buildpacks(buildpacks=tuple(map(mask, find_app(ctx.mirror.facts, app).buildpacks)), known=known)

    async def show(request: web.Request, app: str) -> web.Response:
        return answer(shown(app), headers=etag(ctx.mirror.facts, keys.app(app)))

    async def change(request: web.Request, app: str) -> web.Response:
        wanted = await body(request, NewBuildpacks)
        await carry_out(
            ctx.store,
            ctx.mirror,
            unless_changed(request, keys.app(app), lambda facts: set_buildpacks(facts, app, wanted.buildpacks, known)),
        )
        return answer(shown(app))

    path = "/v1/apps/{app}/buildpacks"
    return [
        Route("GET", path, show, "the buildpacks it is set to, and those there are", Buildpacks, versioned=True),
        Route("PUT", path, change, "set its buildpacks", Buildpacks, NewBuildpacks, versioned=True),
    ]

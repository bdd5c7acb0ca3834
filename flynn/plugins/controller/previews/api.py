"""The API of previews: switch them on and off, show them, and what `git push` asks of them."""

import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.change import carry_out
from flynn.core.errors import Full
from flynn.core.facts import Facts
from flynn.core.follow import app_url
from flynn.core.previews import previews_of
from flynn.core.records import PreviewInfo, Previews
from flynn.core.version import etag, unless_changed
from flynn.core.web import Route, answer, body, query
from flynn.plugins.controller.decide import find_app
from flynn.plugins.controller.previews import decide
from flynn.plugins.controller.previews.rest import is_asleep


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not said stays as it is."""

    on: bool | None = None
    idle: int | None = None


class Branch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    branch: str


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def show(request: web.Request, app: str) -> web.Response:
        return answer(told(ctx.mirror.facts, app, ctx.domain), headers=etag(ctx.mirror.facts, keys.app(app)))

    async def switch(request: web.Request, app: str) -> web.Response:
        asked = await body(request, Switch)
        decided = unless_changed(request, keys.app(app), lambda facts: decide.switch(facts, app, asked.on, asked.idle))
        return answer(told(await carry_out(ctx.store, ctx.mirror, decided), app, ctx.domain))

    async def ensure(request: web.Request, app: str) -> web.Response:
        branch = (await body(request, Branch)).branch
        facts = await carry_out(
            ctx.store, ctx.mirror, lambda facts: decide.ensure(facts, app, branch, ctx.domain, ctx.clock())
        )
        return answer(one(facts, app, branch, ctx.domain))

    async def remove(request: web.Request, app: str) -> web.Response:
        branch = query(request, Branch).branch
        gone = one(ctx.mirror.facts, app, branch, ctx.domain)
        await carry_out(ctx.store, ctx.mirror, lambda facts: decide.remove(facts, app, branch))
        return answer(gone)

    path = "/v1/apps/{app}/previews"
    return [
        Route("GET", path, show, "its previews, and whether there are any", Previews, versioned=True),
        Route("PATCH", path, switch, "have previews of branches or not", Previews, Switch, versioned=True),
        Route("PUT", path, ensure, "the preview of a branch, made or awake", PreviewInfo, Branch, errors=(Full,)),
        Route("DELETE", path, remove, "delete the preview of a branch, with its data", PreviewInfo, query=Branch),
    ]


def told(facts: Facts, name: str, domain: str) -> Previews:
    """NotFound."""
    app = find_app(facts, name)
    found = tuple(one(facts, name, branch, domain) for branch in sorted(previews_of(facts, name)))
    return Previews(app=name, on=app.previewing.on, idle=app.previewing.idle, previews=found)


def one(facts: Facts, of: str, branch: str, domain: str) -> PreviewInfo:
    """The preview of a branch. NotFound."""
    app = decide.find_preview(facts, of, branch)
    return PreviewInfo(
        branch=branch,
        app=app.name,
        url=app_url(facts, app.name, domain),
        release=app.release,
        asleep=is_asleep(facts, app),
    )

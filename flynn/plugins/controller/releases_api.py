"""The API of releases: list, show, deploy an image, roll back."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change
from flynn.core.errors import NotFound
from flynn.core.facts import Facts
from flynn.core.follow import follow_deploy
from flynn.core.once import Made, once, repeated
from flynn.core.records import ReleaseInfo
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import LINES, Route, answer, body, lines, plain
from flynn.plugins.controller import decide
from flynn.plugins.controller.deploy_image import deploy_image
from flynn.plugins.controller.deployment_api import HowDeploy, how_of, strategies, turn


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    version: int | None = None


class NewRelease(msgspec.Struct, forbid_unknown_fields=True):
    image: str
    processes: dict[str, str] = {}
    description: str = ""
    described: dict[str, Any] = {}


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    known = tuple(strategies(ctx))

    listed, every = Watched(ctx, ("apps", "releases"), releases_of_app), Watched(ctx, ("releases",), all_releases)

    async def show(request: web.Request, app: str, version: str) -> web.Response:
        decide.find_app(ctx.mirror.facts, app)
        number = version.removeprefix("v")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise NotFound(f"{version[:40]!r} is no release; they are named v1, v2, ...")
        facts = ctx.mirror.facts
        release, receipt = decide.find_release(facts, app, int(number)), facts.receipts.get(f"{app}/{int(number)}")
        return answer(plain(release) | {"receipt": receipt and replace(receipt, before={})})

    async def deploy(request: web.Request, app: str) -> web.StreamResponse:
        new, how = await body(request, NewRelease), how_of(request, known)
        return await _deployed(
            request,
            app,
            lambda facts, now: deploy_image(
                facts, app, new.image, new.processes, new.description, now, new.described, how, known
            ),
        )

    async def rollback(request: web.Request, app: str) -> web.StreamResponse:
        wanted, how = await body(request, Rollback), how_of(request, known)
        return await _deployed(request, app, lambda facts, now: decide.rollback(facts, app, wanted.version, now, how))

    async def _deployed(
        request: web.Request, app: str, decider: Callable[[Facts, float], Change]
    ) -> web.StreamResponse:
        """The deploy begun, once it is its turn, and followed to its end, as is one that was begun already."""
        if not repeated(ctx, request):
            await turn(ctx, app, request)
        before, now = ctx.mirror.facts, ctx.clock()

        def decided(facts: Facts) -> tuple[Change, Made]:
            change = decider(facts, now)
            deploy = change.puts.get(keys.deploy(app))
            return change, {"version": deploy.new if isinstance(deploy, model.Deploy) else facts.apps[app].release}

        _, made = await once(ctx, request, decided)
        response = await lines(request)
        await follow_deploy(ctx, app, made["version"], response, before)
        return response

    one = "/v1/apps/{app}/releases"
    return [
        Route("GET", one, listed.answer, "its releases, newest first", Watched.gives(model.Release), query=Watch),
        Route("GET", "/v1/releases", every.answer, "all releases", Watched.gives(model.Release), query=Watch),
        Route("POST", one, deploy, "deploy an image", LINES, NewRelease, HowDeploy),
        Route("GET", f"{one}/{{version}}", show, "a release", ReleaseInfo),
        Route("POST", "/v1/apps/{app}/rollback", rollback, "deploy an older release again", LINES, Rollback, HowDeploy),
    ]


def releases_of_app(facts: Facts, asked: Watch, app: str) -> Rows:
    """The releases of an app by APP/VERSION, newest first. NotFound."""
    decide.find_app(facts, app)
    found = sorted(facts.releases_of(app).values(), key=lambda release: -release.version)
    return {f"{app}/{release.version}": release for release in found}


def all_releases(facts: Facts, asked: Watch) -> Rows:
    """The releases of all apps."""
    return dict(sorted(facts.releases.items()))

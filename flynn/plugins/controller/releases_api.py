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
    api, one = ReleasesApi(ctx), "/v1/apps/{app}/releases"
    listed, every = Watched(ctx, ("apps", "releases"), releases_of_app), Watched(ctx, ("releases",), all_releases)
    again = "/v1/apps/{app}/rollback"
    return [
        Route("GET", one, listed.answer, "its releases, newest first", Watched.gives(model.Release), query=Watch),
        Route("GET", "/v1/releases", every.answer, "all releases", Watched.gives(model.Release), query=Watch),
        Route("POST", one, api.deploy, "deploy an image", LINES, NewRelease, HowDeploy),
        Route("GET", f"{one}/{{version}}", api.show, "a release", ReleaseInfo),
        Route("POST", again, api.rollback, "deploy an older release again", LINES, Rollback, HowDeploy),
    ]


class ReleasesApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx, self.known = ctx, tuple(strategies(ctx))

    async def show(self, request: web.Request, app: str, version: str) -> web.Response:
        facts = self.ctx.mirror.facts
        decide.find_app(facts, app)
        number = numbered(version)
        release, receipt = decide.find_release(facts, app, number), facts.receipts.get(f"{app}/{number}")
        return answer(plain(release) | {"receipt": receipt and replace(receipt, before={})})

    async def deploy(self, request: web.Request, app: str) -> web.StreamResponse:
        new, how = await body(request, NewRelease), how_of(request, self.known)

        def decided(facts: Facts, now: float) -> Change:
            processes, told = new.processes, new.described
            return deploy_image(facts, app, new.image, processes, new.description, now, told, how, self.known)

        return await self._deployed(request, app, decided)

    async def rollback(self, request: web.Request, app: str) -> web.StreamResponse:
        wanted, how = await body(request, Rollback), how_of(request, self.known)

        def decided(facts: Facts, now: float) -> Change:
            return decide.rollback(facts, app, wanted.version, now, how)

        return await self._deployed(request, app, decided)

    async def _deployed(
        self, request: web.Request, app: str, decider: Callable[[Facts, float], Change]
    ) -> web.StreamResponse:
        """The deploy begun, once it is its turn, and followed to its end, as is one that was begun already."""
        ctx = self.ctx
        if not repeated(ctx, request):
            await turn(ctx, app, request)
        # Who asks again has not seen what came of it before: they hear what it waits for now.
        before, now = None if repeated(ctx, request) else ctx.mirror.facts, ctx.clock()

        def decided(facts: Facts) -> tuple[Change, Made]:
            change = decider(facts, now)
            deploy = change.puts.get(keys.deploy(app))
            return change, {"version": deploy.new if isinstance(deploy, model.Deploy) else facts.apps[app].release}

        _, made = await once(ctx, request, decided)
        response = await lines(request)
        await follow_deploy(ctx, app, made["version"], response, before)
        return response


def numbered(text: str) -> int:
    """The number in `v4`, or `4`. NotFound."""
    number = text.removeprefix("v")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound(f"{text[:40]!r} is no release; they are named v1, v2, ...")
    return int(number)


def releases_of_app(facts: Facts, asked: Watch, app: str) -> Rows:
    """The releases of an app by APP/VERSION, newest first. NotFound."""
    decide.find_app(facts, app)
    found = sorted(facts.releases_of(app).values(), key=lambda release: -release.version)
    return {f"{app}/{release.version}": release for release in found}


def all_releases(facts: Facts, asked: Watch) -> Rows:
    """The releases of all apps."""
    return dict(sorted(facts.releases.items()))

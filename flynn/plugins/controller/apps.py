"""The API of apps: make, list, show, configure, delete."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.addresses import mask
from flynn.core.brick import Context
from flynn.core.builds import latest
from flynn.core.change import Change, carry_out
from flynn.core.facts import Facts
from flynn.core.follow import app_url, follow_delete
from flynn.core.matching import wanted
from flynn.core.once import once
from flynn.core.records import AppInfo
from flynn.core.version import etag, unless_changed
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import LINES, Route, answer, body, lines, plain, query
from flynn.plugins.controller import decide, volumes
from flynn.plugins.controller.deployment_api import Turn, change_app
from flynn.plugins.controller.jobs import jobs_of

WORDS = (
    "amber brisk calm clear crisp dawn deep early fair gentle keen light lively north quiet rapid still warm".split()
)
THINGS = (
    "bay brook cedar cliff creek field forge grove harbor hill lake leaf meadow pine ridge river shore stone".split()
)


class NewApp(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""


class NewEnv(msgspec.Struct, forbid_unknown_fields=True):
    set: dict[str, str] = {}
    unset: list[str] = []


class WithVolumes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    volumes: bool = False


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    api = AppsApi(ctx)
    return [
        Route("POST", "/v1/apps", api.create, "make an app", AppInfo, NewApp, status=201),
        Route("GET", "/v1/apps", api.list.answer, "all apps", Watched.gives(AppInfo), query=Watch),
        Route("GET", "/v1/apps/{app}", api.show, "an app, and how it fares", AppInfo, versioned=True),
        Route("DELETE", "/v1/apps/{app}", api.delete, "delete an app", LINES, query=WithVolumes, versioned=True),
        Route("GET", "/v1/apps/{app}/env", api.env, "the config of its next release", dict[str, str], versioned=True),
        Route(
            "PATCH",
            "/v1/apps/{app}/env",
            api.set_env,
            "change the config, and deploy it",
            LINES,
            NewEnv,
            Turn,
            versioned=True,
        ),
    ]


class AppsApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.list = Watched(ctx, ("apps", "formations", "jobs", "states", "hosts", "routes", "routers"), self._all)

    async def create(self, request: web.Request) -> web.Response:
        wanted = await body(request, NewApp)
        name = wanted.name or f"{secrets.choice(WORDS)}-{secrets.choice(THINGS)}-{secrets.randbelow(9000) + 1000}"
        now = self.ctx.clock()
        facts, made = await once(
            self.ctx, request, lambda facts: (decide.create_app(facts, name, self.ctx.domain, now), {"name": name})
        )
        return answer(self._shown(facts, decide.find_app(facts, made["name"])), 201)

    def _all(self, facts: Facts, asked: Watch) -> Rows:
        return {name: self._shown(facts, app) for name, app in sorted(facts.apps.items())}

    async def show(self, request: web.Request, app: str) -> web.Response:
        facts = self.ctx.mirror.facts
        shown = self._shown(facts, decide.find_app(facts, app))
        owned = facts.routes_of(app)
        told = shown | {"deploy": facts.deploys.get(app), "build": latest(facts, app), "routes": owned}
        return answer(told, headers=etag(facts, keys.app(app)))

    async def delete(self, request: web.Request, app: str) -> web.StreamResponse:
        before = self.ctx.mirror.facts
        data = query(request, WithVolumes).volumes
        await self._changed(
            request, app, lambda facts: (volumes.delete_with_app if data else decide.delete_app)(facts, app)
        )
        response = await lines(request)
        await follow_delete(self.ctx, app, response, before)
        return response

    async def env(self, request: web.Request, app: str) -> web.Response:
        facts = self.ctx.mirror.facts
        return answer(dict(sorted(decide.find_app(facts, app).env.items())), headers=etag(facts, keys.app(app)))

    async def set_env(self, request: web.Request, app: str) -> web.StreamResponse:
        new = await body(request, NewEnv)

        def decided(facts: Facts, now: float) -> Change:
            return decide.set_env(facts, app, new.set, new.unset, now)

        def kept(facts: Facts) -> str:
            return "nothing has changed" if facts.apps[app].release else "the config is kept for the first release"

        return await change_app(self.ctx, request, app, decided, kept)

    async def _changed(self, request: web.Request, app: str, decider: Callable[[Facts], Change]) -> Facts:
        """The change carried out, if the app still has the version that the request wants."""
        return await carry_out(self.ctx.store, self.ctx.mirror, unless_changed(request, keys.app(app), decider))

    def _shown(self, facts: Facts, app: model.App) -> dict[str, Any]:
        shown: dict[str, Any] = plain(replace(app, buildpacks=tuple(map(mask, app.buildpacks))))
        return shown | {"url": app_url(facts, app.name, self.ctx.domain), "processes": processes(facts, app)}


def processes(facts: Facts, app: model.App) -> Mapping[str, Mapping[str, int]]:
    """How many processes of each type are wanted, and how many are up."""
    formation = facts.formations.get(app.name)
    up = [job.job.type for job in jobs_of(facts, app.name, ("services",)) if job.up]
    counts = formation.counts if formation else {}
    return {type: {"wanted": wanted(facts, app.name, type), "up": up.count(type)} for type in counts}

"""The API of builds: those of an app, one of them, what it printed, its end before its time."""

import asyncio
import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from flynn.core import model
from flynn.core.builds import outcome
from flynn.core.change import carry_out
from flynn.core.errors import FlynnError, NotFound
from flynn.core.facts import Facts
from flynn.core.output import kept
from flynn.core.records import BuildInfo
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import LINES, Route, answer, lines, send_line
from flynn.plugins.builder.cancel import cancel_build, find_build
from flynn.plugins.builder.follow import done, follow_output

if TYPE_CHECKING:
    from flynn.core.brick import Context

PATIENCE = 10.0
"""Seconds for which a cancelled build is waited for; its job is killed long before."""


def routes(ctx: "Context") -> list[Route]:
    """The routes of this part of the API."""
    api, all = BuildsApi(ctx), "/v1/apps/{app}/builds"
    listed = Watched(ctx, ("apps", "builds", "queues"), builds_of_app)
    return [
        Route("GET", all, listed.answer, "its last builds, newest first", Watched.gives(BuildInfo), query=Watch),
        Route("GET", f"{all}/{{number}}", api.show, "a build", BuildInfo),
        Route("DELETE", f"{all}/{{number}}", api.cancel, "end a build before its time", BuildInfo),
        Route("GET", f"{all}/{{number}}/log", api.log, "what a build printed, and prints", LINES),
    ]


class BuildsApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: "Context") -> None:
        self.ctx = ctx

    async def show(self, request: web.Request, app: str, number: str) -> web.Response:
        facts = self.ctx.mirror.facts
        return answer(told(facts, find_build(facts, app, numbered(app, number))))

    async def cancel(self, request: web.Request, app: str, number: str) -> web.Response:
        """Answered once it has ended, or as it is PATIENCE later."""
        ctx, which = self.ctx, numbered(app, number)
        await carry_out(ctx.store, ctx.mirror, lambda facts: cancel_build(facts, app, which))
        with contextlib.suppress(TimeoutError):
            await ctx.mirror.until(lambda facts: not _goes_on(facts, app, which), PATIENCE)
        facts = ctx.mirror.facts
        return answer(told(facts, find_build(facts, app, which)))

    async def log(self, request: web.Request, app: str, number: str) -> web.StreamResponse:
        """To the end of the build, if it is under way; what becomes of its release is not told."""
        ctx = self.ctx
        began = asyncio.get_running_loop().time()
        build = find_build(ctx.mirror.facts, app, numbered(app, number))
        response = await lines(request)
        await send_line(response, {"kind": "build", "job": build.job, "number": build.number})
        if build.state == "building":
            build = await follow_output(ctx, app, build.job, response) or build
        else:
            await self._kept(build, response)
        last = done(build.state == "complete", _last(build), asyncio.get_running_loop().time() - began)
        await send_line(response, last)
        return response

    async def _kept(self, build: model.Build, response: web.StreamResponse) -> None:
        """What it printed, from the host that has it, or why that cannot be had."""
        count = 0
        if not build.host:
            return
        try:
            async with aclosing(kept(self.ctx, build.host, build.app, build.job, build.started)) as found:
                async for line in found:
                    count += 1
                    await send_line(response, line)
            problem = "" if count else f"its output is not kept any more on {build.host}"
        except FlynnError as error:
            problem = str(error)
        if problem:
            await send_line(response, {"kind": "log", "stream": "flynn", "job": build.job, "line": problem})


def builds_of_app(facts: Facts, asked: Watch, app: str) -> Rows:
    """Those that are remembered, by APP/NUMBER, newest first. NotFound."""
    if app not in facts.apps:
        raise NotFound(f"there is no app {app[:60]}")
    found = sorted(facts.builds_of(app).items(), key=lambda row: -row[1].number)
    return {key: told(facts, build) for key, build in found}


def told(facts: Facts, build: model.Build) -> BuildInfo:
    """A build, with what it waits for."""
    queued = facts.queues.get(f"builders/{build.job}")
    waits = (queued.reason or "waits to be placed") if queued else ""
    return BuildInfo(**{name: getattr(build, name) for name in build.__struct_fields__}, waits=waits)


def numbered(app: str, text: str) -> int:
    """The number in `4`. NotFound."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound(f"{text[:40]!r} is no build of {app[:60]}; they are numbered 1, 2, ...")
    return int(text)


def _goes_on(facts: Facts, app: str, number: int) -> bool:
    build = facts.builds.get(f"{app}/{number}")
    return build is not None and build.state == "building"


def _last(build: model.Build) -> str:
    if build.state == "building":
        return f"build {build.number} of {build.app} goes on"
    if build.state == "complete":
        return f"build {build.number} of {build.app} became v{build.release}"
    return outcome(build)

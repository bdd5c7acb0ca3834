"""The API that takes source: received, checked, put on the shelf, built; told as it happens."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web

from flynn.core import blobs, model
from flynn.core.builds import of_job, under_way
from flynn.core.change import Change
from flynn.core.errors import Conflict, FlynnError, Invalid, Unavailable
from flynn.core.facts import Facts
from flynn.core.once import Made, once, repeated
from flynn.core.web import LINES, Route, Stream, lines, query, send_line
from flynn.plugins.builder import source
from flynn.plugins.builder.beginning import Beginning
from flynn.plugins.builder.follow import follow_build
from flynn.plugins.builder.start import Source, check_description, check_version
from flynn.plugins.builder.upload import received

if TYPE_CHECKING:
    from flynn.core.brick import Context

WAIT = 1800.0
"""Seconds to wait for the end of another build."""

BATCH = 1000
"""Processes that a step of a deploy replaces at most."""


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the developer says of the build, and of the deploy of what is built. `version`: the commit that it is."""

    description: str = ""
    version: str = ""
    wait: bool = False
    """Wait for a build of the app that is under way, instead of being refused."""

    strategy: str = ""
    batch: Annotated[int, msgspec.Meta(ge=0, le=BATCH)] = 0


class SourceApi:
    """Handlers. So many `uploads` at one time, each of `limit` bytes at most, on their way through `folder`."""

    def __init__(self, beginning: Beginning, folder: Path, uploads: int, limit: int) -> None:
        self._beginning, self._ctx = beginning, beginning.ctx
        self._folder, self._uploads, self._limit = folder, uploads, limit
        self._under_way = 0

    def routes(self) -> list[Route]:
        takes = Stream(("application/gzip",))
        path, does = "/v1/apps/{app}/builds", "build and deploy"
        return [Route("POST", path, self.build, does, LINES, takes, query=Described)]

    async def build(self, request: web.Request, app: str) -> web.StreamResponse:
        """A build of the body, and the deploy of what was built, to its end."""
        asked = query(request, Described)
        if not repeated(self._ctx, request):
            if asked.wait:
                await turn(self._ctx, app)
            self._beginning.check(app)
        description, version = check_description(asked.description), check_version(asked.version)
        how = check_deploying(self._ctx, asked.strategy, asked.batch)
        blob, names = await self._receive(request)
        sent = Source(blob.sha256, names, version, description)
        id, begun = await self._beginning.ready(app, sent, how=how)
        job = await self._begin(request, app, lambda facts: (begun(facts), {"job": id}), sent, asked.wait)
        return await _answer(self._ctx, request, app, job)

    async def _begin(
        self, request: web.Request, app: str, begun: Callable[[Facts], tuple[Change, Made]], sent: Source, wait: bool
    ) -> str:
        """The job of the build, or of the one that this same request began before."""
        while True:
            try:
                _, made = await once(self._ctx, request, begun, sent.blob)
                return str(made["job"])
            except Conflict:  # Somebody else's turn came first.
                if not wait or not under_way(self._ctx.mirror.facts, app):
                    raise
                await turn(self._ctx, app)

    async def _receive(self, request: web.Request) -> tuple[model.Artifact, frozenset[str]]:
        """The body, checked and put on the shelf; which of the names that matter are at its top."""
        if self._under_way >= self._uploads:
            raise Unavailable(f"{self._under_way} sources are being received already; try again in a moment")
        self._under_way += 1
        try:
            async with received(request, self._folder, self._limit) as path:
                names = await asyncio.to_thread(source.check, path)
                return await blobs.store(self._ctx, path), names
        finally:
            self._under_way -= 1


async def _answer(ctx: "Context", request: web.Request, app: str, job: str) -> web.StreamResponse:
    """Follow the build to its end. A client that goes away ends only this."""
    response = await lines(request)
    build = of_job(ctx.mirror.facts, app, job)
    await send_line(response, {"kind": "build", "job": job, "number": build.number if build else 0})
    try:
        await follow_build(ctx, app, job, response)
    except FlynnError as error:
        await send_line(response, {"kind": "done", "ok": False, "message": str(error)})
    return response


async def turn(ctx: "Context", app: str) -> None:
    """Wait until no build of the app is under way. Conflict: there still is one."""
    try:
        await ctx.mirror.until(lambda facts: not under_way(facts, app), WAIT)
    except TimeoutError:
        raise Conflict(f"the build of {app} that is under way has not ended within {WAIT:g} s") from None


def check_deploying(ctx: "Context", strategy: str, batch: int) -> model.Deploying:
    """What is said of the deploy of what is built. Invalid: there is no such strategy."""
    known = {name for offered in ctx.hooks.hook.flynn_deploy_strategies() for name in offered}
    if strategy and strategy not in known:
        raise Invalid(f"there is no strategy {strategy[:40]!r}; there are: {', '.join(sorted(known))}")
    return model.Deploying(strategy=strategy, batch=batch)

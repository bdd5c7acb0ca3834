"""The builder brick: source over HTTP, onto the shelf, into the `builders` queue; the rest is told as it happens."""

import asyncio
import contextlib
import secrets
import shutil
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from flynn.core import blobs
from flynn.core.brick import Context
from flynn.core.builds import known_layers, of_job, under_way
from flynn.core.change import Change, carry_out
from flynn.core.disk import NO_ROOM
from flynn.core.errors import Conflict, FlynnError, Unavailable
from flynn.core.facts import Facts
from flynn.core.model import Artifact
from flynn.core.once import Made, once, repeated
from flynn.core.queue_room import check_room
from flynn.core.web import LINES, Route, Stream, lines, query, send_line
from flynn.plugins.builder import builds_api, source, tools
from flynn.plugins.builder.dockerfile import by_engine
from flynn.plugins.builder.follow import follow_build
from flynn.plugins.builder.git.api import Limits
from flynn.plugins.builder.git.building import MARK, Pushed
from flynn.plugins.builder.git.serving import taking_pushes
from flynn.plugins.builder.start import (
    BATCH,
    Rules,
    begin,
    check_app,
    check_deploying,
    check_description,
    check_version,
    network_of,
)
from flynn.plugins.builder.upload import received

BUILDPACKS = Path(__file__).parent / "buildpacks"
NAMES = "ruby python go java php nodejs static procfile".split()
OWN = tuple(BUILDPACKS / name for name in NAMES)
"""The buildpacks of flynn, in the order they are tried: many an app has a package.json beside, for its pages alone; the
last one takes what the others do not."""

ROOM = 2.0
"""Seconds between two tries while the disk is full."""

USUAL = Rules()

WAIT = 1800.0
"""Seconds to wait for the end of another build."""

SHELF = 30.0
"""Seconds to wait for the shelf to be registered."""


Some = Annotated[int, msgspec.Meta(ge=0)]
Least = Annotated[int, msgspec.Meta(ge=1)]


class BuilderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of a build: `timeout` in seconds, `memory`, `disk` in MiB, `cpu` in thousandths of a core (0: any number),
    `pids`; `limit` in MiB of packed source, `uploads` received at one time, builds `waiting` for a host (0: any
    number). `env`: variables of all builds, as mirrors of what buildpacks download; their `network` ("": one of their
    own, where a host gives that).

    `push_limit`: MiB of one git push; `pushes` taken at one time, and as many fetches answered; `repositories`: MiB of
    this node's disk for what was pushed, between two pushes.
    """

    timeout: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 900.0
    memory: Some = 2048
    cpu: Some = 0
    pids: Some = 2048
    disk: Some = 6144
    limit: Least = 512
    uploads: Least = 8
    waiting: Some = 200
    env: dict[str, str] = {}
    network: Literal["", "own", "host"] = ""
    push_limit: Least = 2048
    pushes: Least = 64
    repositories: Some = 4096

    @property
    def rules(self) -> Rules:
        """What all builds are held to, and are told."""
        return Rules(
            timeout=self.timeout,
            memory=self.memory,
            cpu=self.cpu,
            pids=self.pids,
            disk=self.disk,
            env=self.env,
            network=self.network,
        )


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the developer says of the build, and of the deploy of what is built. `version`: the commit that it is."""

    description: str = ""
    version: str = ""
    wait: bool = False
    """Wait for a build of the app that is under way, instead of being refused."""

    strategy: str = ""
    batch: Annotated[int, msgspec.Meta(ge=0, le=BATCH)] = 0


class Builder:
    """Takes source for `POST /v1/apps/{app}/builds`."""

    name = "builder"
    Config = BuilderConfig

    def __init__(self, config: BuilderConfig) -> None:
        self._config = config
        self._uploads = 0

    async def run(self, ctx: Context) -> None:
        uploads = ctx.data / "uploads"
        kit = await _prepared(ctx, uploads)
        if kit is None:
            return

        async def build(request: web.Request, app: str) -> web.StreamResponse:
            asked = query(request, Described)
            if not repeated(ctx, request):
                if asked.wait:
                    await turn(ctx, app)
                check_app(ctx.mirror.facts, app)
                check_room(ctx.mirror.facts, "builders", self._config.waiting)
            description, version = check_description(asked.description), check_version(asked.version)
            how = check_deploying(asked.strategy, asked.batch, strategies(ctx))
            source, names = await self._receive(ctx, request, uploads)
            kit_there, gone = await _shelve(ctx, kit), await lost(ctx, app)
            id = f"{app}-build-{secrets.token_hex(4)}"

            def begun(facts: Facts) -> tuple[Change, Made]:
                check_room(facts, "builders", self._config.waiting)
                now = ctx.clock()
                change = begin(
                    facts, app, id, source.sha256, kit_there.sha256, self._config.rules, now, description, how, version,
                    by_engine(facts, app, names), gone,
                )  # fmt: skip
                return change, {"job": id}

            while True:
                try:
                    _, made = await once(ctx, request, begun, source.sha256)
                    break
                except Conflict:  # Somebody else's turn came first.
                    if not asked.wait or not under_way(ctx.mirror.facts, app):
                        raise
                    await turn(ctx, app)
            return await _answer(ctx, request, app, made["job"])

        async def pushed(app: str, pushed: Pushed) -> str:
            kit_there, gone = await _shelve(ctx, kit), await lost(ctx, app)
            id = f"{app}-{MARK}-{secrets.token_hex(4)}"

            def begun(facts: Facts) -> Change:
                check_room(facts, "builders", self._config.waiting)
                now = ctx.clock()
                return begin(
                    facts, app, id, pushed.source, kit_there.sha256, self._config.rules, now, pushed.description,
                    version=pushed.commit, dockerfile=by_engine(facts, app, pushed.names), gone=gone,
                )  # fmt: skip

            await carry_out(ctx.store, ctx.mirror, begun)
            return id

        config, space = self._config, self._config.repositories << 20
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_shelve_early(ctx, kit), name="build tools"),
                group.create_task(_tell(ctx, self._config.rules), name="builder sentence"),
            ]
            path, takes = "/v1/apps/{app}/builds", Stream(("application/gzip",))
            begins = Route("POST", path, build, "build and deploy", LINES, takes, query=Described)
            with ctx.web.serving(begins, *builds_api.routes(ctx)):
                async with taking_pushes(ctx, pushed, Limits(config.push_limit << 20, config.pushes), space):
                    ctx.ready()
                    await ctx.stopping.wait()
            for task in tasks:
                task.cancel()

    async def _receive(self, ctx: Context, request: web.Request, uploads: Path) -> tuple[Artifact, frozenset[str]]:
        """The body, checked and put on the shelf; which of the names that matter are at its top."""
        if self._uploads >= self._config.uploads:
            raise Unavailable(f"{self._uploads} sources are being received already; try again in a moment")
        self._uploads += 1
        try:
            async with received(request, uploads, self._config.limit << 20) as path:
                names = await asyncio.to_thread(source.check, path)
                return await blobs.store(ctx, path), names
        finally:
            self._uploads -= 1


async def _answer(ctx: Context, request: web.Request, app: str, job: str) -> web.StreamResponse:
    """Follow the build to its end. A client that goes away ends only this."""
    response = await lines(request)
    build = of_job(ctx.mirror.facts, app, job)
    await send_line(response, {"kind": "build", "job": job, "number": build.number if build else 0})
    try:
        await follow_build(ctx, app, job, response)
    except FlynnError as error:
        await send_line(response, {"kind": "done", "ok": False, "message": str(error)})
    return response


async def lost(ctx: Context, app: str) -> set[str]:
    """The blobs of the app's layers that are on no shelf any more, as its disk went: to deploy again shall help."""
    return await blobs.missing(ctx, set(known_layers(ctx.mirror.facts, app).values()))


async def turn(ctx: Context, app: str) -> None:
    """Wait until no build of the app is under way. Conflict: there still is one."""
    try:
        await ctx.mirror.until(lambda facts: not under_way(facts, app), WAIT)
    except TimeoutError:
        raise Conflict(f"the build of {app} that is under way has not ended within {WAIT:g} s") from None


def sentence(facts: Facts, rules: Rules = USUAL) -> str:
    """What is being built now."""
    building = sorted(build.app for build in facts.builds.values() if build.state == "building")
    network = network_of(facts, rules, False) if facts.hosts else "own"
    shared = "; builds have the network of their host, as none gives one of its own" if network == "host" else ""
    shared = "" if rules.network else shared
    return (f"builds under way: {', '.join(building)}" if building else "ready to build") + shared


async def _tell(ctx: Context, rules: Rules) -> None:
    async for facts in ctx.mirror.photos("builds"):
        ctx.say(sentence(facts, rules))


async def _shelve_early(ctx: Context, kit: Path) -> None:
    """Put the tools on the shelf now, so that the first build need not wait."""
    try:
        await _shelve(ctx, kit)
    except FlynnError as error:
        ctx.log.info("the build tools are not on the shelf yet (%s); the next build puts them there", error)


async def _shelve(ctx: Context, kit: Path) -> Artifact:
    """Have the tools on the shelf: they are put there again if something took them away. Unavailable, Full."""
    try:
        await ctx.mirror.until(lambda facts: any(not i.draining for i in facts.instances("shelf")), SHELF)
    except TimeoutError:
        raise Unavailable(f"no shelf came up within {SHELF:g} s; `flynn status` shows what is wrong") from None
    return await blobs.store(ctx, kit)


def buildpacks(ctx: Context) -> list[Path]:
    """All buildpacks in the order they are tried: those of plugins first, as flynn's last one takes almost anything."""
    found = [Path(path) for paths in ctx.hooks.hook.flynn_buildpacks() for path in paths]
    return sorted(found, key=lambda path: path in OWN)


def strategies(ctx: Context) -> set[str]:
    """The names of all deploy strategies."""
    return {name for offered in ctx.hooks.hook.flynn_deploy_strategies() for name in offered}


async def _prepared(ctx: Context, uploads: Path) -> Path | None:
    """The tools, once the disk has room for them; None: the brick shall stop. Meanwhile the node is up without it."""
    while not ctx.stopping.is_set():
        try:
            await asyncio.to_thread(_empty, uploads)
            return await asyncio.to_thread(tools.prepare, ctx.data, buildpacks(ctx))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        ctx.say(f"waits for room in {ctx.data}: until then nothing is built")
        ctx.ready()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROOM):
                await ctx.stopping.wait()
    return None


def _empty(folder: Path) -> None:
    """Make the directory new: what is in it was left by a daemon that was killed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)

"""The builder brick: source over HTTP, onto the shelf, into the `builders` queue; the rest is told as it happens."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Annotated

import msgspec

from flynn.core import blobs
from flynn.core.brick import Context
from flynn.core.disk import NO_ROOM
from flynn.core.facts import Facts
from flynn.plugins.builder import builds_api, tools
from flynn.plugins.builder.beginning import Beginning
from flynn.plugins.builder.git.api import Limits
from flynn.plugins.builder.git.serving import taking_pushes
from flynn.plugins.builder.source_api import SourceApi
from flynn.plugins.builder.start import Rules, Some, network_of

BUILDPACKS = Path(__file__).parent / "buildpacks"
NAMES = "ruby python go java php nodejs static procfile".split()
OWN = tuple(BUILDPACKS / name for name in NAMES)
"""The buildpacks of flynn, in the order they are tried: many an app has a package.json beside, for its pages alone; the
last one takes what the others do not."""

ROOM = 2.0
"""Seconds between two tries while the disk is full."""

Least = Annotated[int, msgspec.Meta(ge=1)]


class BuilderConfig(Rules, frozen=True, forbid_unknown_fields=True):
    """What any build may take, and what this node takes: `limit` in MiB of packed source, `uploads` received at one
    time, builds `waiting` for a host (0: any number).

    `push_limit`: MiB of one git push; `pushes` taken at one time, and as many fetches and questions about refs
    answered; `repositories`: MiB of this node's disk for what was pushed, between two pushes.
    """

    limit: Least = 512
    uploads: Least = 8
    waiting: Some = 200
    push_limit: Least = 2048
    pushes: Least = 64
    repositories: Some = 4096


class Builder:
    """Takes source for `POST /v1/apps/{app}/builds`, and what is pushed."""

    name = "builder"
    Config = BuilderConfig

    def __init__(self, config: BuilderConfig) -> None:
        self._config = config

    async def run(self, ctx: Context) -> None:
        config, uploads = self._config, ctx.data / "uploads"
        kit = await _prepared(ctx, uploads)
        if kit is None:
            return
        beginning = Beginning(ctx, kit, await blobs.name(kit), config, config.waiting)
        sources = SourceApi(beginning, uploads, config.uploads, config.limit << 20)
        limits, space = Limits(config.push_limit << 20, config.pushes), config.repositories << 20
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(beginning.shelve_early(), name="build tools"),
                group.create_task(_tell(ctx, config), name="builder sentence"),
            ]
            with ctx.web.serving(*sources.routes(), *builds_api.routes(ctx)):
                async with taking_pushes(ctx, beginning.supplies, beginning.pushed, limits, space):
                    ctx.ready()
                    await ctx.stopping.wait()
            for task in tasks:
                task.cancel()


def sentence(facts: Facts, rules: Rules) -> str:
    """What is being built now."""
    building = sorted(build.app for build in facts.builds.values() if build.state == "building")
    network = network_of(facts, rules, False) if facts.hosts else "own"
    shared = "; builds have the network of their host, as none gives one of its own" if network == "host" else ""
    shared = "" if rules.network else shared
    return (f"builds under way: {', '.join(building)}" if building else "ready to build") + shared


async def _tell(ctx: Context, rules: Rules) -> None:
    async for facts in ctx.mirror.photos("builds"):
        ctx.say(sentence(facts, rules))


def buildpacks(ctx: Context) -> list[Path]:
    """All buildpacks in the order they are tried: those of plugins first, as flynn's last one takes almost anything."""
    found = [Path(path) for paths in ctx.hooks.hook.flynn_buildpacks() for path in paths]
    return sorted(found, key=lambda path: path in OWN)


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

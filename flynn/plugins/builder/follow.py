"""Telling a developer live how a build goes, and then how what was built is deployed. Only looks at facts."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.follow import follow_deploy
from flynn.core.output import job_state, output
from flynn.core.web import send_line

if TYPE_CHECKING:
    from flynn.core.brick import Context

LIMIT = 3600.0
"""Seconds that a stream waits for a build to get a host, and for its end to be noted."""

REASON = re.compile(r"^ !\s+(.*)")
"""A line by which a build says what is wrong; the last one is why it failed."""


async def follow_build(ctx: "Context", app: str, job: str, response: web.StreamResponse, limit: float = LIMIT) -> None:
    """From the first line that the build prints to the `done` line of its deploy, or of its failure.

    What the host says of the job (`started`, `exited with code 0`) stays in the log: to its reader a build is no job.
    """
    now = asyncio.get_running_loop().time
    started = now()
    await _queued(ctx, app, job, response, limit)
    reason = ""
    async for line in output(ctx, job):
        if line.get("stream") == "flynn":
            continue
        await send_line(response, line)
        if found := REASON.match(str(line.get("line", ""))):
            reason = found[1]
    build = await _ended(ctx, app, job, limit)
    if build and build.state == "complete":
        await follow_deploy(ctx, app, build.release, response)
    else:
        message = failure(app, job, ctx.mirror.facts, build, reason, limit)
        await send_line(
            response,
            {"kind": "done", "ok": False, "message": message, "seconds": round(now() - started, 3)},
        )


def failure(app: str, job: str, facts: Facts, build: model.Build | None, reason: str, limit: float) -> str:
    """Why a build came to nothing: what it said itself, or what the grid says of its job."""
    if build and build.state == "failed":
        return f"build failed: {reason or build.reason}"
    if app not in facts.apps:
        return f"build failed: {app} was deleted meanwhile"
    if build is None:
        return f"build failed: another build of {app} took the place of {job}"
    queued = facts.queues.get(f"builders/{job}")
    why = f": {queued.reason}" if queued and queued.reason else ""
    return f"the build {job} is still under way after {limit:g} s{why}; it goes on"


async def _queued(ctx: "Context", app: str, job: str, response: web.StreamResponse, limit: float) -> None:
    """Wait until a host has the job, and say what it waits for."""
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    said = ""
    while now() < deadline:
        facts = ctx.mirror.facts
        queued = facts.queues.get(f"builders/{job}")
        if job_state(facts, job) or not _current(facts, app, job):
            return
        if queued and queued.reason and queued.reason != said:
            said = queued.reason
            await send_line(response, _waiting(job, said, ctx.clock()))
        await ctx.mirror.catch_up(facts, 5.0)


async def _ended(ctx: "Context", app: str, job: str, limit: float) -> model.Build | None:
    """The record of the build once it has ended, or as it is when the limit passes; None: it is of another job now."""
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    while _current(facts := ctx.mirror.facts, app, job) and now() < deadline:
        await ctx.mirror.catch_up(facts, 5.0)
    build = facts.builds.get(app)
    return build if build and build.job == job else None


def _current(facts: Facts, app: str, job: str) -> bool:
    build = facts.builds.get(app)
    return app in facts.apps and build is not None and build.job == job and build.state == "building"


def _waiting(job: str, reason: str, now: float) -> dict[str, Any]:
    return {
        "kind": "job", "id": job, "type": "build", "state": "queued", "release": 0, "reason": reason, "time": now
    }  # fmt: skip

"""Telling a developer live how a build goes, and then how what was built is deployed. Only looks at facts."""

import asyncio
from typing import TYPE_CHECKING, Any

from flynn.core import model
from flynn.core.builds import of_job, outcome
from flynn.core.facts import Facts
from flynn.core.follow import follow_deploy
from flynn.core.output import job_state, output
from flynn.core.web import Writer, send_line

if TYPE_CHECKING:
    from flynn.core.brick import Context

LIMIT = 3600.0
"""Seconds that a stream waits for a build to get a host, and for its end to be noted."""


async def follow_build(
    ctx: "Context", app: str, job: str, response: Writer, limit: float = LIMIT, after: str = "it goes on"
) -> None:
    """From the first line that the build prints to the `done` line of its deploy, or of its failure. `after`: what
    comes after the limit."""
    now = asyncio.get_running_loop().time
    started = now()
    build = await follow_output(ctx, app, job, response, limit)
    if build and build.state == "complete":
        await follow_deploy(ctx, app, build.release, response)
    else:
        message = failure(app, job, ctx.mirror.facts, build, limit, after)
        await send_line(response, done(False, message, now() - started))


async def follow_output(
    ctx: "Context", app: str, job: str, response: Writer, limit: float = LIMIT
) -> model.Build | None:
    """All that the build prints, until it has ended; its record then, or as it is when the limit passes; None: it is
    not remembered.

    What the host says of the job (`started`, `exited with code 0`) stays in the log: to its reader a build is no job.
    """
    await _queued(ctx, app, job, response, limit)
    async for line in output(ctx, job):
        if line.get("stream") != "flynn":
            await send_line(response, line)
    return await _ended(ctx, app, job, limit)


def failure(app: str, job: str, facts: Facts, build: model.Build | None, limit: float, after: str) -> str:
    """Why a build came to nothing: what it said itself, or what the grid says of its job."""
    if app not in facts.apps:
        return f"build failed: {app} was deleted meanwhile"
    if build is None:
        return f"what became of the build {job} is not known any more; `flynn build list -a {app}` shows the last ones"
    if build.state != "building":
        return outcome(build)
    queued = facts.queues.get(f"builders/{job}")
    why = f": {queued.reason}" if queued and queued.reason else ""
    return f"build {build.number} of {app} is still under way after {limit:g} s{why}; {after}"


def done(ok: bool, message: str, seconds: float) -> dict[str, Any]:
    """The last line."""
    return {"kind": "done", "ok": ok, "message": message, "seconds": round(seconds, 3)}


async def _queued(ctx: "Context", app: str, job: str, response: Writer, limit: float) -> None:
    """Wait until a host has the job, and say what it waits for."""
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    said = ""
    while now() < deadline:
        facts = ctx.mirror.facts
        queued = facts.queues.get(f"builders/{job}")
        if job_state(facts, job) or not _goes_on(facts, app, job):
            return
        if queued and queued.reason and queued.reason != said:
            said = queued.reason
            await send_line(response, _waiting(job, said, ctx.clock()))
        await ctx.mirror.catch_up(facts, 5.0)


async def _ended(ctx: "Context", app: str, job: str, limit: float) -> model.Build | None:
    now = asyncio.get_running_loop().time
    deadline = now() + limit
    while _goes_on(facts := ctx.mirror.facts, app, job) and now() < deadline:
        await ctx.mirror.catch_up(facts, 5.0)
    return of_job(facts, app, job)


def _goes_on(facts: Facts, app: str, job: str) -> bool:
    build = of_job(facts, app, job)
    return app in facts.apps and build is not None and build.state == "building"


def _waiting(job: str, reason: str, now: float) -> dict[str, Any]:
    return {
        "kind": "job", "id": job, "type": "build", "state": "queued", "release": 0, "reason": reason, "time": now
    }  # fmt: skip

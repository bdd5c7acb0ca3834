"""The build of what was pushed, as the push sees it: begun, followed, ended before its time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from flynn.core import keys, model
from flynn.core.builds import under_way
from flynn.core.change import carry_out
from flynn.core.errors import Conflict, FlynnError
from flynn.core.facts import Facts
from flynn.core.previews import pushed_as
from flynn.core.records import Line
from flynn.plugins.builder.cancel import cancel_job
from flynn.plugins.builder.git.words import INDENT, told
from flynn.plugins.builder.start import Source, Supplies

if TYPE_CHECKING:
    from flynn.core.brick import Context

Say = Callable[[str], Awaitable[None]]


Supply = Callable[[str], Coroutine[Any, Any, Supplies]]
"""What an app, by its name, is built with."""

Begin = Callable[[Supplies, str, Source], Awaitable[str]]
"""Begins the build of an app, by its name: the job."""

WAIT = 1800.0
"""Seconds to wait for another build of the app."""

ENDING = 30.0
"""Seconds for which the end of a cancelled build is waited for."""

TRIES = 5

BROKEN_OFF = "the push that it was for broke off"

MARK = "push"
"""What the name of a job has that builds what was pushed: `hello-push-3f2a1b9c`."""


class Told:
    """Takes the lines of a build and its deploy, and says them to the pusher."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.released = False
        """The build is over, and what was built is being deployed."""

        self.last: Line | None = None

    async def write(self, data: bytes) -> None:
        line = msgspec.json.decode(data, type=Line)
        self.released = self.released or line.get("kind") == "release"
        if line.get("kind") == "done":
            self.last = line  # It is said once all is done.
            return
        for text in told(line):
            await self._say(text)


async def until_free(ctx: "Context", app: str, say: Say) -> None:
    """Wait until no build of the app is under way. Whose push was broken off, of that the build is ended: the caller
    has the turn, so nobody waits for it any more. Conflict: it takes too long."""
    if build := under_way(ctx.mirror.facts, app):
        if build.job.startswith(f"{app}-{MARK}-"):
            await say(f"{INDENT}Ends the build of a push that broke off ({build.job})")
            await cancel(ctx, app, build.job, BROKEN_OFF)
        else:
            await say(f"{INDENT}Waits for the build that is under way ({build.job})")
        try:
            await ctx.mirror.until(lambda facts: not under_way(facts, app), WAIT)
        except TimeoutError:
            raise Conflict(f"the build {build.job} has not ended within {WAIT:g} s; push again later") from None


async def begun(
    ctx: "Context", begin: Callable[[str, Source], Awaitable[str]], app: str, source: Source, say: Say
) -> str:
    """The job of a build that has begun, once no other is under way. Who is cancelled leaves none behind. What `begin`
    raises."""
    for _ in range(TRIES):
        await until_free(ctx, app, say)
        beginning = asyncio.ensure_future(begin(app, source))
        try:
            return await asyncio.shield(beginning)
        except Conflict:
            if not under_way(ctx.mirror.facts, app):
                raise
        except asyncio.CancelledError:
            with contextlib.suppress(FlynnError):
                await cancel(ctx, app, await beginning, "who pushed it left")
            raise
    raise Conflict(f"others keep building {app}; push again later")


async def runs(ctx: "Context", app: str, job: str) -> None:
    """Wait until the process of a build runs, or the build is over: then there is time for other things."""

    def begun(facts: Facts) -> bool:
        states = facts.states_of(app, "builders").values()
        return _over(facts, app, job) or any(
            state.id == job and (state.pid or state.state != "starting") for state in states
        )

    await ctx.mirror.until(begun, None)


async def end_orphans(ctx: "Context") -> None:
    """End the builds of pushes that an earlier life of this daemon has left: nobody waits for them. Before any push is
    taken."""
    facts = ctx.mirror.facts
    for app in facts.apps:
        build, holder = under_way(facts, app), facts.get(keys.lock(turn_name(pushed_as(facts, app))))
        elsewhere = isinstance(holder, model.Leader) and holder.host != ctx.host
        if build and build.job.startswith(f"{app}-{MARK}-") and not elsewhere:
            await cancel(ctx, app, build.job, BROKEN_OFF, 0.0)


def turn_name(app: str) -> str:
    """The lock that a push of the app has."""
    return f"push-{app}"


async def cancel(ctx: "Context", app: str, job: str, why: str, limit: float = ENDING) -> None:
    """Have the build end, if it goes on, and wait until it has, for `limit` seconds at most."""
    try:
        await carry_out(ctx.store, ctx.mirror, lambda facts: cancel_job(facts, app, job, why))
        if limit and not ctx.stopping.is_set():  # The leader may be this daemon, which ends.
            await ctx.mirror.until(lambda facts: _over(facts, app, job), limit)
    except (FlynnError, TimeoutError) as error:
        ctx.log.warning("the build %s could not be ended: %s", job, error)


def still(facts: Facts, app: str) -> str:
    """What serves while nothing new does."""
    found: model.App | None = facts.apps.get(app)
    return f"v{found.release} still serves" if found and found.release else "nothing serves yet"


def _over(facts: Facts, app: str, job: str) -> bool:
    build = under_way(facts, app)
    return build is None or build.job != job

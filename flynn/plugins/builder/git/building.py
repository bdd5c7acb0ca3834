"""The build of what was pushed, as the push sees it: begun, followed, ended before its time."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from flynn.core import model
from flynn.core.builds import under_way
from flynn.core.change import carry_out
from flynn.core.errors import Conflict, FlynnError
from flynn.core.facts import Facts
from flynn.core.records import Line
from flynn.plugins.builder.cancel import cancel_job
from flynn.plugins.builder.git.words import INDENT, told

if TYPE_CHECKING:
    from flynn.core.brick import Context

Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Pushed:
    """What is to be built: `commit`, with the blob `source` and `names` at its top; the release is called
    as `description` says."""

    source: str
    names: Collection[str]
    commit: str
    description: str


Begin = Callable[[str, Pushed], Awaitable[str]]
"""Begins the build of an app, by its name: the job."""

WAIT = 1800.0
"""Seconds to wait for another build of the app."""

ENDING = 30.0
"""Seconds for which the end of a cancelled build is waited for."""

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
            await cancel(ctx, app, build.job, "the push that it was for broke off")
        else:
            await say(f"{INDENT}Waits for the build that is under way ({build.job})")
        try:
            await ctx.mirror.until(lambda facts: not under_way(facts, app), WAIT)
        except TimeoutError:
            raise Conflict(f"the build {build.job} has not ended within {WAIT:g} s; push again later") from None


async def cancel(ctx: "Context", app: str, job: str, why: str) -> None:
    """Have the build end, if it goes on, and wait until it has."""
    try:
        await carry_out(ctx.store, ctx.mirror, lambda facts: cancel_job(facts, app, job, why))
        if not ctx.stopping.is_set():  # The leader may be this daemon, which ends.
            await ctx.mirror.until(lambda facts: _over(facts, app, job), ENDING)
    except (FlynnError, TimeoutError) as error:
        ctx.log.warning("the build %s could not be ended: %s", job, error)


def still(facts: Facts, app: str) -> str:
    """What serves while nothing new does."""
    found: model.App | None = facts.apps.get(app)
    return f"v{found.release} still serves" if found and found.release else "nothing serves yet"


def _over(facts: Facts, app: str, job: str) -> bool:
    build = under_way(facts, app)
    return build is None or build.job != job

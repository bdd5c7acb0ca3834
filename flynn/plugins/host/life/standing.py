"""Where a job stands: kept on disk, told to the grid at each step, and put in words in the job's log."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from flynn.core.errors import Full
from flynn.core.model import Job, JobState
from flynn.plugins.host.backends.identity import Identity, boot_id
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.life.kept import Kept, add, save
from flynn.plugins.host.life.output import Output
from flynn.plugins.host.life.restart import Ending, next_restart
from flynn.plugins.host.turns import Turn

log = logging.getLogger(__name__)

SOON = 0.25
"""Seconds after which the grid is told what need not be told at once: a job that begins without delay has said more
about itself by then, and to write to the store while it begins would hold it up, on the core that it boots on."""


class Standing:
    """`kept` is what is on disk, in `dir`. `down` is set when all is over. `turn`: its right to start, if it has it."""

    def __init__(self, ground: Ground, kept: Kept) -> None:
        boot = boot_id()
        fresh = replace(kept, up_since=0, restart=0, failing=0, oom_at=0, boot=boot)
        self.ground, self.kept = ground, kept if kept.boot == boot else fresh
        self.turn: Turn | None = None
        self._told: JobState | None = None
        self.dir = ground.jobs / kept.job.id
        self.down = asyncio.Event()

    @property
    def job(self) -> Job:
        return self.kept.job

    @property
    def cache(self) -> Path | None:
        """The directory that it finds again in later runs."""
        return self.ground.ctx.data / "cache" / self.job.cache if self.job.cache else None

    @property
    def state(self) -> JobState:
        return self.kept.state

    async def say(self, text: str) -> None:
        await self.ground.logs.say(self.job.id, text)

    def set(self, **changes: Any) -> None:
        """Change the state: on disk, then in the store."""
        before = self.state.state
        if changes.get("state", before) != before:
            changes["since"] = self.ground.ctx.clock()
        self.kept = replace(self.kept, state=replace(self.state, **changes))
        if self.state.state != before:
            self.ground.changed()
        try:
            write = save if self.state.state == "down" else add
            write(self.dir, self.kept)
        except OSError as error:
            log.warning("the state of %s cannot be written to disk: %s", self.job.id, error.strerror)
        self.tell()

    def tell(self, **changes: Any) -> None:
        """Change the state in the store; on disk with the next change: until then a daemon that comes after need not
        know, or finds out again."""
        if changes:
            self.kept = replace(self.kept, state=replace(self.state, **changes))
        self._told = self.state
        self.ground.tell(self.state)

    def tell_soon(self, **changes: Any) -> None:
        """As `tell`, in a moment, unless the grid has been told by then."""
        self.kept = replace(self.kept, state=replace(self.state, **changes))
        asyncio.get_running_loop().call_later(SOON, self._tell_news)

    def _tell_news(self) -> None:
        if self._told != self.state:
            self.tell()

    def commit(self, process: Identity, backend: str) -> None:
        """Write down the process before it may do anything. Full: it cannot be written."""
        self.kept = replace(self.kept, process=process, backend=backend, restart=0.0, oom_kills=0, oom_at=0.0)
        try:
            add(self.dir, self.kept)
        except OSError as error:
            self.kept = replace(self.kept, process=None)
            raise Full(f"the job cannot be written to {self.dir}: {error.strerror}") from None

    def started(self) -> None:
        """It has come so far that another one may start."""
        if self.turn:
            self.turn.end()
            self.turn = None

    def pause(self) -> float:
        """Seconds until it may be started again."""
        return max(self.kept.restart - self.ground.steady(), 0.0)

    def up(self) -> None:
        self.started()
        self.kept = replace(self.kept, up_since=self.ground.steady())
        self.set(state="up", failure="", exit_code=None, reason="")

    def again(self, ending: Ending) -> str:
        """Another process shall follow the one that has ended; why and when, in words."""
        now = self.ground.steady()
        up_for = now - self.kept.up_since if self.kept.up_since else 0.0
        restart = next_restart(self.state.restarts, up_for, now - self.kept.failing if self.kept.failing else 0.0)
        failing = self.kept.failing if restart.number > 1 and self.kept.failing else now
        self.kept = replace(self.kept, process=None, up_since=0.0, restart=now + restart.pause, failing=failing)
        reason = restart.after(ending.reason)
        self.set(
            state="starting", pid=0, port=0, restarts=restart.number, exit_code=ending.code, failure=ending.failure,
            reason=reason,
        )  # fmt: skip
        return reason

    def end(self, ending: Ending, output: Output = Output()) -> None:  # noqa: B008 (frozen)
        """The job is down."""
        self.kept = replace(self.kept, process=None)
        self.set(
            state="down", pid=0, port=0, exit_code=ending.code, failure=ending.failure, reason=ending.reason,
            output=output.artifact, result=output.result,
        )  # fmt: skip
        self.down.set()

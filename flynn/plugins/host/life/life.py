"""The life of one job on this host: started, watched, restarted, stopped; told to the grid at each step.

`starting.py`, `tending.py` and `stopping.py` know how each is done; `standing.py` keeps and tells what became of it.
"""

import asyncio
import logging
import os
import signal
from pathlib import Path

from flynn.core.errors import FlynnError
from flynn.core.model import Job, JobState
from flynn.plugins.host.backends.backend import Running
from flynn.plugins.host.backends.ending import kill
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.life import oom, spent
from flynn.plugins.host.life.kept import Kept, sweep
from flynn.plugins.host.life.output import Output, left_by, told
from flynn.plugins.host.life.registration import Registration
from flynn.plugins.host.life.restart import Ending, describe
from flynn.plugins.host.life.standing import Standing
from flynn.plugins.host.life.starting import found, start
from flynn.plugins.host.life.stopping import signal_of, stop
from flynn.plugins.host.life.tending import tend
from flynn.plugins.host.race import race
from flynn.plugins.host.trees import remove_tree

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds until what this daemon lacked may be there again."""

CLEARED = 1.0
"""Seconds after which what a build has left is cleared away: what comes of it begins now, and needs the machine
more."""


class Life:
    """`kept` is what is on disk; `running` the process, if there is one. `down` is set when all is over."""

    def __init__(self, ground: Ground, kept: Kept) -> None:
        self.ground, self.standing = ground, Standing(ground, kept)
        self.place = Registration(ground, kept.job)
        self.attached, self.begun = asyncio.Event(), asyncio.Event()
        self.stdin = -1
        self.read = False
        """Whether a client reads its raw files; who is done with them last removes them."""
        self.given: dict[str, int] = {}
        """How far that client has come, in bytes, of the streams that it reads."""
        self._stop_asked = asyncio.Event()
        self._stop_reason = "stopped"
        self._spent = False
        """Whether it is stopped because of what it has written: its cache may be what was too much, and goes."""
        self._stop_signals: tuple[signal.Signals, ...] = (signal_of(kept.job),)
        self.running = found(self.standing)
        if self.running:
            ground.ports.keep(kept.state.port)
            ground.volumes.holders.keep(kept.job)

    @property
    def kept(self) -> Kept:
        return self.standing.kept

    @property
    def job(self) -> Job:
        return self.kept.job

    @property
    def state(self) -> JobState:
        return self.kept.state

    @property
    def dir(self) -> Path:
        return self.standing.dir

    @property
    def down(self) -> asyncio.Event:
        return self.standing.down

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop, or has ended anyway."""
        return self._stop_asked.is_set() or self.down.is_set()

    def stop(self, reason: str = "stopped", *signals: signal.Signals) -> None:
        """End it, whatever it is doing; by its own signal, or by others."""
        if not self.stopping:
            self._stop_reason, self._stop_signals = reason, signals or self._stop_signals
            self._stop_asked.set()

    def hang_up(self) -> None:
        """Its client has gone: what a terminal does to its processes when it is closed."""
        self.stop("its client went away", signal.SIGHUP, signal.SIGTERM)

    async def run(self) -> None:
        """All of it, until the job is down. Cancelled (the daemon stops): the process lives on."""
        try:
            while not await self._lived():
                await asyncio.sleep(AGAIN)
        except Exception as error:
            log.exception("the life of %s went wrong", self.job.id)
            await self._give_up(error)
        finally:
            self.standing.started()
            self.ground.logs.close(self.job.id)
            self.close_stdin()
            if self.down.is_set():
                self.ground.volumes.leave(self.job)
        if not self.read:
            await asyncio.to_thread(sweep, self.dir)

    async def _lived(self) -> bool:
        """False: this daemon lacked what it needs for it, as open files. The process runs on, if there is one."""
        try:
            self.running = self.running or found(self.standing)
            await self.ground.logs.open(self.job, self.given)
            if await race(self._live(), self._asked(), self._too_long(), self._too_large()):
                await (self._clear() if self.down.is_set() else self._stop())
        except OSError as error:
            if not is_lack(error):
                raise
            log.warning("%s is not looked after for now: %s", self.job.id, error.strerror)
            self.standing.started()
            if self.running is None:
                self.ground.ports.free(self.state.port)
            return self.down.is_set()
        return True

    async def _asked(self) -> bool:
        await self._stop_asked.wait()
        return True

    async def _too_long(self) -> bool:
        """Told to stop when it has run for its time limit."""
        limit = 0.0 if self.job.queue == "services" else self.job.time_limit
        if not limit:
            return await self._asked()
        if self.running is None:
            await self.begun.wait()
        since = self.kept.up_since
        await asyncio.sleep(limit - (self.ground.steady() - since if since else 0.0))
        self.stop(f"its time limit of {limit:g} s was over")
        return True

    async def _too_large(self) -> bool:
        """Told to stop when it has written more than it may."""
        if self.job.queue == "services" or not self.job.disk:
            return await self._asked()
        if self.running is None:
            await self.begun.wait()
        self.stop(await spent.over(self.standing))
        self._spent = True
        return True

    async def _live(self) -> bool:
        """Until it is down by itself (False)."""
        self.standing.tell_soon()
        if self.running and self.job.attached and not self.attached.is_set():
            self.stop("its client went away when the daemon did", signal.SIGHUP, signal.SIGTERM)
        while True:
            try:
                ending = await self._once()
            except FlynnError as error:
                await self._clear()
                await self.standing.say(f"could not be started: {error}")
                self.standing.end(Ending("start", str(error)))
                return False
            if not await self._again(ending):
                return False

    async def _once(self) -> Ending:
        """One process, from its start to its end. FlynnError: it could not be started."""
        if self.running is None:
            await asyncio.sleep(self.standing.pause())
            self.running = await start(self.standing, self.attached)
            self.stdin = self.running.stdin
            self.begun.set()
            await self.standing.say("started")
        watched = oom.watch(self.running, self.standing)
        return await race(self._exit(self.running), tend(self.running, self.standing, self.place), watched)

    async def _exit(self, running: Running) -> Ending:
        code = await running.wait()
        looking = oom.look(running, self.standing)
        await (asyncio.gather(looking, running.end()) if self._waited_for else looking)
        return Ending("crash", await oom.reason(self.standing, describe(code), code), code)

    async def _again(self, ending: Ending) -> bool:
        """What follows the end of a process: True, another one; False, the job is down."""
        assert self.running
        if ending.failure in ("boot", "health"):
            await kill(self.running)
        if self.job.queue != "services":
            await self._ended_once(ending)
            return False
        await self._clear()
        await self.standing.say(self.standing.again(ending))
        return True

    async def _ended_once(self, ending: Ending) -> None:
        """The job is down, and nothing of it runs any more, or that is seen to first. For what a build has left others
        wait: it is told at once, and all else is cleared away later."""
        if not self._waited_for:
            await self._clear()
            output = await self._left(ending)
            await self.standing.say(output.problem or ending.reason)
            self._end(ending, output)
            return
        output, _ = await asyncio.gather(self._left(ending), self.ground.logs.finish(self.job.id))
        self._end(ending, output)
        try:
            await self.standing.say(self.state.reason)
            await asyncio.sleep(CLEARED if output.artifact else 0.0)
        finally:
            await self._clear()

    def _end(self, ending: Ending, output: Output) -> None:
        reason = output.problem or ending.reason
        self.standing.end(Ending("crash" if ending.code != 0 else "", reason, ending.code), output)

    @property
    def _waited_for(self) -> bool:
        """Whether somebody waits for what it leaves."""
        return self.job.output and not self.job.dockerfile

    async def _left(self, ending: Ending) -> Output:
        """What it has left, if it was to leave something."""
        if self.job.output and ending.code == 0:
            return await left_by(self.ground, self.job, self.dir)
        return Output(result=told(self.dir / "out").result) if self.job.output else Output()

    async def _stop(self) -> None:
        ending = Ending("", self._stop_reason)
        self.running = self.running or found(self.standing)
        if self.running:
            ending = await stop(self.running, self.standing, self.place, self._stop_signals, self._stop_reason)
        await self._clear()
        if self._spent and self.standing.cache:
            await asyncio.to_thread(remove_tree, self.standing.cache)
        await self.standing.say(ending.reason)
        self.standing.end(ending)

    async def _clear(self) -> None:
        """Leave nothing of the process behind, and its whole output in the log."""
        self.standing.started()
        self.place.remove()
        self.running = self.running or found(self.standing)
        if self.running:
            await self.running.cleanup()
            await self.ground.logs.finish(self.job.id)
        await self.place.clear()
        if build := self.ground.image_builds.pop(self.job.id, None):
            await build.close()
        self.running = None
        self.close_stdin()
        self.ground.ports.free(self.state.port)

    async def _give_up(self, error: Exception) -> None:
        reason = f"flynn made a mistake with it, its log on {self.ground.ctx.host} says more: {error}"
        try:
            self.running = self.running or found(self.standing)
            if self.running:
                await kill(self.running)
            await self._clear()
        except Exception:  # Of one job, which shall not end the agent with all others.
            log.exception("what is left of %s cannot be cleared away", self.job.id)
        if not self.down.is_set():
            self.standing.end(Ending("start", reason))

    def close_stdin(self) -> None:
        """Let the process see the end of its input."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

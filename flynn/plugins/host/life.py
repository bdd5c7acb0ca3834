"""The life of one job on this host: started, watched, restarted, stopped; told to the store at each step."""

import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from flynn.core.errors import FlynnError, Full
from flynn.core.model import Failure, Job, JobState
from flynn.plugins.host.backend import Backend, NotStarted, Running
from flynn.plugins.host.choice import IMAGES
from flynn.plugins.host.ending import exit_code, kill, terminate
from flynn.plugins.host.environ import check
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.health import FAILURES, STEADY, listens, until_listens
from flynn.plugins.host.identity import Identity
from flynn.plugins.host.kept import Kept, save, sweep
from flynn.plugins.host.output import Output, collect
from flynn.plugins.host.race import race
from flynn.plugins.host.registration import Registration
from flynn.plugins.host.restart import describe, next_restart
from flynn.plugins.host.spec import spec_of

log = logging.getLogger(__name__)

SETTLED = 1.0
"""Seconds after which a service process without a port counts as up."""

ATTACH = 60.0
"""Seconds that a job waits for its client."""


@dataclass(frozen=True)
class Ending:
    """How a process came to its end. `code` None: it had to be killed, or nobody knows."""

    failure: Failure
    reason: str
    code: int | None = None


class Life:
    """`kept` is what is on disk; `running` the process, if there is one. `down` is set when all is over."""

    def __init__(self, ground: Ground, kept: Kept) -> None:
        self.ground, self.kept = ground, kept
        self.running: Running | None = None
        self.place = Registration(ground, kept.job)
        self.socket = ground.sockets.of(kept.job.id) if kept.job.service else None
        self.place.socket = self.socket.found if self.socket else ""
        self.attached, self.begun, self.down = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.stdin = -1
        self._stop_asked = asyncio.Event()
        self._stop_reason = "stopped"
        self._stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
        self.dir = ground.jobs / kept.job.id
        if kept.process and kept.backend in ground.backends:
            self.running = ground.backends[kept.backend].adopt(self.dir, kept.process)
            ground.ports.keep(kept.state.port)

    @property
    def job(self) -> Job:
        return self.kept.job

    @property
    def state(self) -> JobState:
        return self.kept.state

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop."""
        return self._stop_asked.is_set()

    def stop(self, reason: str = "stopped", *signals: signal.Signals) -> None:
        """End it, whatever it is doing; by SIGTERM or other signals."""
        if not self._stop_asked.is_set():
            self._stop_reason, self._stop_signals = reason, signals or self._stop_signals
            self._stop_asked.set()

    async def run(self) -> None:
        """All of it, until the job is down. Cancelled (the daemon stops): the process lives on."""
        try:
            await self.ground.logs.open(self.job)
            if await race(self._live(), self._asked()):
                await self._stop()
        except Exception as error:
            log.exception("the life of %s went wrong", self.job.id)
            await self._give_up(error)
        finally:
            self.ground.logs.close(self.job.id)
            self.close_stdin()
        if not self.job.attached:
            await asyncio.to_thread(sweep, self.dir)

    async def _asked(self) -> bool:
        await self._stop_asked.wait()
        return True

    async def _live(self) -> bool:
        """Until it is down by itself (False)."""
        self.ground.tell(self.state)
        if self.running and self.job.attached:
            self.stop("its client went away when the daemon did", signal.SIGHUP, signal.SIGTERM)
        while True:
            try:
                if self.running is None:
                    await asyncio.sleep(max(min(self.kept.restart - self.ground.ctx.clock(), 30.0), 0.0))
                    await self._start()
                ending = await race(self._exit(), self._tend())
            except FlynnError as error:
                await self._clear()
                await self._say(f"could not be started: {error}")
                self._end(Ending("start", str(error)))
                return False
            if not await self._again(ending):
                return False

    async def _start(self) -> None:
        """Fetch what it needs, and set the process going. FlynnError: why it cannot be started."""
        job = self.job
        self._set(state="starting")
        check(job)
        backend = self.ground.backend_of(job)
        image = await self._image(backend)
        layers = {name: await self.ground.layers.get(sha256) for name, sha256 in job.layers.items()}
        if job.attached:
            await self._wait_for_client()
        if job.service:
            self._set(port=self.ground.ports.take())
        spec = spec_of(self.ground, job, self.state.port, layers, image)
        self.running = await backend.start(spec, lambda process: self._commit(process, backend.name))
        self.stdin = self.running.stdin
        if self.stdin >= 0:
            os.set_blocking(self.stdin, False)
        self.begun.set()
        await self._say("started")

    async def _image(self, backend: Backend) -> str:
        """What the engine calls the image that the job is, or runs on; empty: there is none."""
        if self.job.image:
            return await self.ground.images.get(self.job, self._say)
        stack = self.ground.config.stack if backend.name == IMAGES else ""
        return await self.ground.images.stack(stack, self._say) if stack else ""

    async def _wait_for_client(self) -> None:
        self._set(reason="waits to be attached")
        try:
            async with asyncio.timeout(ATTACH):
                await self.attached.wait()
        except TimeoutError:
            raise NotStarted(f"nobody attached within {ATTACH:g} s") from None
        self._set(reason="")

    def _commit(self, process: Identity, backend: str) -> None:
        self.kept = replace(self.kept, process=process, backend=backend, restart=0.0)
        try:
            save(self.dir, self.kept)
        except OSError as error:
            self.kept = replace(self.kept, process=None)
            raise Full(f"the job cannot be written to {self.dir}: {error.strerror}") from None

    async def _exit(self) -> Ending:
        assert self.running
        code = await self.running.wait()
        return Ending("crash", describe(code), code)

    async def _tend(self) -> Ending:
        """Bring the process up and keep watch; returns only if it does not come up."""
        assert self.running
        resumed = self.state.state != "starting"
        if pid := await self.running.pid():
            self._set(pid=pid)
        if self.job.service:
            return await self._tend_service(self.state.port, resumed)
        if not resumed:
            await asyncio.sleep(SETTLED if self.job.queue == "services" else 0.0)
            self._up()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def _tend_service(self, port: int, resumed: bool) -> Ending:
        address, limit = self.ground.ctx.node.address, self.ground.config.boot_timeout
        if not resumed:
            if not await until_listens(address, port, limit):
                return Ending("boot", f"did not listen on port {port} within {limit:g} s")
            await self._look_for_socket()
            await self.place.put(port)
            self._up()
            await self._say(f"up on port {port}")
        failures = 0
        while True:
            if await listens(address, port):
                failures = 0
                if await self._look_for_socket() or self.state.reason or not self.place.on or not self.place.port:
                    await self.place.put(port)
                    self._set(reason="")
            else:
                failures += 1
                if failures == FAILURES:
                    self.place.remove()
                    self._set(reason=f"does not answer on port {port}")
                    await self._say(f"does not answer on port {port}: unregistered until it does")
            await asyncio.sleep(STEADY)

    async def _look_for_socket(self) -> bool:
        """Whether it answers on its UNIX socket since the last look, or no more."""
        before, self.place.socket = self.place.socket, self.socket.look() if self.socket else ""
        if self.place.socket == before:
            return False
        await self._say(f"answers on its UNIX socket {'too' if self.place.socket else 'no more'}")
        return True

    async def _again(self, ending: Ending) -> bool:
        """What follows the end of a process: True, another one; False, the job is down."""
        assert self.running
        if ending.failure == "boot":
            await kill(self.running)
        await self._clear()
        if self.job.queue != "services":
            await self._ended_once(ending)
            return False
        now = self.ground.ctx.clock()
        restart = next_restart(self.state.restarts, now - self.kept.up_since if self.kept.up_since else 0.0)
        self.kept = replace(self.kept, process=None, up_since=0.0, restart=now + restart.pause)
        reason = restart.after(ending.reason)
        self._set(
            state="starting", pid=0, port=0, restarts=restart.number, exit_code=ending.code, failure=ending.failure,
            reason=reason,
        )  # fmt: skip
        await self._say(reason)
        return True

    async def _ended_once(self, ending: Ending) -> None:
        output = Output()
        if self.job.output and ending.code == 0:
            output = await collect(self.ground.ctx, self.dir / "out")
        failed = ending.code != 0
        reason = output.problem or ending.reason
        await self._say(reason)
        self._end(Ending("crash" if failed else "", reason, ending.code), output)

    async def _stop(self) -> None:
        code, reason = None, self._stop_reason
        if self.running:
            self._set(state="stopping", reason="")
            if self.place.on and self.state.port:
                await self._say("stopping: waits until routers have drained it")
                await race(self._drain(), self._ended())
            self.place.remove()
            code, killed = await terminate(self.running, self._stop_signals, self.ground.config.stop_timeout)
            reason += f"; killed, as it did not end within {self.ground.config.stop_timeout:g} s" if killed else ""
        await self._clear()
        await self._say(reason)
        self._end(Ending("", reason, code))

    async def _ended(self) -> None:
        assert self.running
        await exit_code(self.running)

    async def _drain(self) -> None:
        limit = self.ground.config.drain_timeout
        if not await self.place.drain(self.state.port, limit):
            await self._say(f"routers were not done with it within {limit:g} s")

    async def _clear(self) -> None:
        """Leave nothing of the process behind, and its whole output in the log."""
        self.place.remove()
        if self.running:
            await self.running.cleanup()
            await self.ground.logs.finish(self.job.id)
        if self.socket:
            await asyncio.to_thread(self.socket.remove)
            self.place.socket = ""
        self.running = None
        self.close_stdin()
        self.ground.ports.free(self.state.port)

    async def _give_up(self, error: Exception) -> None:
        reason = f"flynn made a mistake with it, its log on {self.ground.ctx.host} says more: {error}"
        if self.running:
            await kill(self.running)
        await self._clear()
        self._end(Ending("start", reason))

    def _up(self) -> None:
        self.kept = replace(self.kept, up_since=self.ground.ctx.clock())
        self._set(state="up", failure="", exit_code=None, reason="")

    def _end(self, ending: Ending, output: Output = Output()) -> None:  # noqa: B008 (frozen)
        self.kept = replace(self.kept, process=None)
        self._set(
            state="down", pid=0, port=0, exit_code=ending.code, failure=ending.failure, reason=ending.reason,
            output=output.artifact, result=output.result,
        )  # fmt: skip
        self.down.set()

    async def _say(self, text: str) -> None:
        await self.ground.logs.say(self.job.id, text)

    def _set(self, **changes: Any) -> None:
        """Change the state: on disk, then in the store."""
        if changes.get("state", self.state.state) != self.state.state:
            changes["since"] = self.ground.ctx.clock()
        self.kept = replace(self.kept, state=replace(self.state, **changes))
        try:
            save(self.dir, self.kept)
        except OSError as error:
            log.warning("the state of %s cannot be written to disk: %s", self.job.id, error.strerror)
        self.ground.tell(self.state)

    def close_stdin(self) -> None:
        """Let the process see the end of its input."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

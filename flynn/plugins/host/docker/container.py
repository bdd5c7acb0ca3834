"""A container, running or ended: known by what is written in the job's directory, seen by the kernel or by the engine.

Where the daemon sees the container's processes, the kernel tells of their end and takes signals for them, so an engine
that is frozen, stopped or restarted is not missed until the exit code is asked for.
"""

import asyncio
import contextlib
import logging
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace

from flynn.core.errors import Conflict, FlynnError, Full, NotFound
from flynn.plugins.host.backends.backend import Kills, NotStarted, Signals
from flynn.plugins.host.backends.identity import Identity, alive, gone
from flynn.plugins.host.backends.launch import descendants, send
from flynn.plugins.host.backends.proc import first_child
from flynn.plugins.host.docker import overlay
from flynn.plugins.host.docker.container_exec import run_inside
from flynn.plugins.host.docker.container_stats import told_by_engine
from flynn.plugins.host.docker.engine import CALL, Refused, engine
from flynn.plugins.host.docker.engine_log import EngineLog
from flynn.plugins.host.docker.made import Made, save, seen, unborn
from flynn.plugins.host.docker.networks import Networks
from flynn.plugins.host.docker.removal import remove
from flynn.plugins.host.usage.groupfiles import members
from flynn.plugins.host.usage.reading import Seat
from flynn.plugins.host.usage.seats import killed_for_memory, seat_among

log = logging.getLogger(__name__)

SOON, LATER = 0.01, 1.0
"""Seconds between two questions to the engine: when it must learn of an end any moment, and at most."""

HOLD = 50.0
"""Seconds after which a question that is answered at a container's end is put anew."""


REFUSALS = 60
"""Questions, LATER apart, that the engine may refuse to answer of a container that has ended."""

TOLD = ("Running", "Pid", "Status", "ExitCode")
"""What is asked of a container's state."""

REST = 10.0
"""Seconds in which the engine must have told the end of a log."""


class RunningContainer:
    """`made` None: there is none. `identity`: the container's first process, which reaps. `networks`: of its
    backend."""

    def __init__(
        self, dir: Path, identity: Identity, made: Made | None, stdin: int = -1, networks: Networks | None = None
    ) -> None:
        self.dir, self.identity, self.made, self.stdin, self.networks = dir, identity, made, stdin, networks
        self._ended = made is None
        self._kills = Kills()

    def alive(self) -> bool:
        if self.made and self.made.local:
            return alive(self.made.process)
        return bool(self.made and self.made.process.pid) and not self._ended

    async def pid(self) -> int:
        await self._learn()
        while self.made and self.made.local and self.alive():
            if found := first_child(self.made.process.pid):
                return found
            await asyncio.sleep(0.005)
        return self.made.process.pid if self.alive() and self.made else 0

    async def wait(self) -> int | None:
        if not self.made or not self.made.logged:
            return await self._wait()
        following = asyncio.create_task(EngineLog(self.dir, self.made.id).follow(), name=f"log of {self.made.id[:12]}")
        try:
            code = await self._wait()
            await asyncio.wait([following], timeout=REST)
            return code
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _wait(self) -> int | None:
        pause, refusals = SOON, 0
        while self.made and refusals < REFUSALS:
            try:
                if self.made.process.pid:
                    await (gone(self.made.process) if self.made.local else _stopped(self.made.id))
                state = await self._state(self.made)
                if not state["Running"]:
                    return await self._end(self.made, state)
            except NotFound:
                break
            except FlynnError as error:  # It does not answer, or not well: it may again.
                pause, refusals = LATER, refusals + int(isinstance(error, Conflict | Refused) and not self.alive())
            await asyncio.sleep(pause)
            pause = min(pause * 2, LATER)
        self._ended = True
        return None

    async def _end(self, made: Made, state: dict[str, Any]) -> int | None:
        """The exit code of a container that does not run; None if it never did."""
        self._ended = True
        if made.process.pid and not made.local:
            with contextlib.suppress(Full):
                await asyncio.to_thread(save, self.dir, replace(made, process=unborn(), local=False))
        if state["OOMKilled"] and not self._kills.killed:  # The engine does not say whose limit it was.
            self._kills = Kills(1, over=True)
        return None if state["Status"] == "created" else int(state["ExitCode"])

    async def _state(self, made: Made) -> dict[str, Any]:
        """What the engine says of it. NotFound, or another FlynnError."""
        async with engine() as client:
            container = client.containers.container(made.id)
            found = (await container.show())["State"]
            state: dict[str, Any] = {name: found[name] for name in TOLD} | {"OOMKilled": found.get("OOMKilled", False)}
        if state["Running"] and state["Pid"] != made.process.pid:
            self.made = seen(made, state["Pid"])  # Somebody has started it again by hand.
        return state

    async def _learn(self) -> None:
        """Its first process, which a daemon that was killed while it started the container could not write down."""
        if self.made and not self.made.process.pid and not self._ended:
            with contextlib.suppress(FlynnError):
                await self._state(self.made)

    async def signal(self, number: int) -> None:
        await self._learn()
        if self.made and self.made.local and self._may():
            first = self.made.process
            await asyncio.to_thread(lambda: send(_inside(first.pid) if alive(first) else [], number))
        elif self.made and self.alive():
            await self._tell(self.made, number)

    async def kill(self) -> None:
        """By the kernel, if it can be: it ends all processes of a container with the first one (pid_namespaces(7))."""
        await self._learn()
        if self.made and self.made.local and self._may():
            if self.alive():
                send([psutil.Process(self.made.process.pid)], signal.SIGKILL)
        elif self.made and self.alive():
            await self._tell(self.made, signal.SIGKILL)

    def _may(self) -> bool:
        """Whether this daemon may send signals to the container's processes itself."""
        assert self.made
        try:
            return os.geteuid() in (0, os.stat(f"/proc/{self.made.process.pid}").st_uid)
        except OSError:
            return True

    async def _tell(self, made: Made, number: int) -> None:
        """Through the engine, whose signal reaches the job's first process."""
        try:
            async with engine() as client:
                await client.containers.container(made.id).kill(signal=str(int(number)))
        except FlynnError as error:
            log.info("signal %d did not reach container %s: %s", number, made.id[:12], error)

    async def oom_kills(self) -> Kills:
        """By the container's cgroup while that is there; once it has ended, the engine has told whether there were."""
        if self.made and self.made.local and self.alive():
            found = await asyncio.to_thread(killed_for_memory, self.made.process.pid)
            self._kills = max(self._kills, found)
        return self._kills

    async def exec(
        self, command: str, stdin: int = -1, stdout: int = -1, stderr: int = -1, signals: Signals | None = None
    ) -> int:
        if not self.made or not await self.pid():
            raise NotStarted("the job has ended")
        return await run_inside(self.made.id, command, (stdin, stdout, stderr), signals)

    def seat(self) -> Seat:
        if not self.made:
            return Seat()
        if self.made.local:
            return seat_among(self.made.process.pid)
        return Seat(ask=partial(told_by_engine, self.made.id))

    async def end(self) -> None:
        """The kernel has killed all with the first one (pid_namespaces(7))."""

    async def cleanup(self) -> None:
        self._kills = Kills()
        if self.made:
            await remove(self.made.id)
            if self.made.network and self.networks:
                await self.networks.leave(self.made.network)
            self.made = None
        await asyncio.to_thread(_clean, self.dir)


def _inside(first: int) -> list[psutil.Process]:
    """What descends from a container's first process; only its groups are looked at, where these are to be seen."""
    return descendants(first, members(seat_among(first).groups) or None)


async def _stopped(id: str) -> None:
    """Wait until the engine says that it does not run, or for a while. NotFound, Unavailable."""
    async with engine(HOLD + CALL) as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD):
                await client.containers.container(id).wait()


def _clean(dir: Path) -> None:
    for name in ("container", "stdin", "stdout.mark", "stderr.mark"):
        (dir / name).unlink(missing_ok=True)
    overlay.remove(dir)

"""A job whose processes are this machine's own, whatever stands around them: what its kernel does for all of those."""

import asyncio
from pathlib import Path

import psutil

from flynn.plugins.host.backends.backend import Kills
from flynn.plugins.host.backends.begun import Begun
from flynn.plugins.host.backends.identity import Identity, alive
from flynn.plugins.host.backends.launch import send
from flynn.plugins.host.backends.proc import first_child
from flynn.plugins.host.limits.limiter import oom_kills
from flynn.plugins.host.usage.reading import Seat
from flynn.plugins.host.usage.seats import seat_of

PAUSE = 0.005
"""Seconds between two looks for something that is there any moment."""


class RunningHere:
    """`identity` stands for the job, and tells its exit code. As `Running`, with what is left to say how."""

    def __init__(self, dir: Path, identity: Identity, stdin: int = -1, begun: Begun | None = None) -> None:
        self.dir, self.identity, self.stdin, self._begun = dir, identity, stdin, begun

    def alive(self) -> bool:
        return alive(self.identity)

    async def pid(self) -> int:
        if self._begun:
            await self._begun.wait()
        while self.alive():
            if (parent := self._parent()) and (found := first_child(parent)):
                return found
            await asyncio.sleep(PAUSE)
        return 0

    async def signal(self, number: int) -> None:
        await asyncio.to_thread(lambda: send(self._members(), number))

    async def kill(self) -> None:
        await asyncio.to_thread(self._kill)

    async def oom_kills(self) -> Kills:
        return await oom_kills(self.dir)

    def seat(self) -> Seat:
        return seat_of(self.dir, self.identity.pid)

    async def end(self) -> None:
        await asyncio.to_thread(self._end)

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._clean)

    def _parent(self) -> int:
        """Whose child the job's first process is; 0: it is not there yet, or not any more."""
        raise NotImplementedError

    def _members(self) -> list[psutil.Process]:
        """The processes that are the job's own."""
        raise NotImplementedError

    def _kill(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        """As `end`. Blocks, as do all of these."""
        self._kill()

    def _clean(self) -> None:
        raise NotImplementedError

"""One daemon after the other on one data directory: taking over from the last one, asked by the next."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from flynn.core import doorway
from flynn.core.channel import Channel
from flynn.core.config import Node
from flynn.core.errors import StartError, Unavailable
from flynn.core.estate import Estate
from flynn.core.handover import LOST, Forerunner, Heir, Hello, Refused, take_over

log = logging.getLogger(__name__)

HELLO = 5.0
"""Seconds in which one who connects must say who it is."""

PAUSE = 1.0
"""Seconds until the next try, when a daemon cannot start its bricks again after a hand-over that failed, or cannot hear
who asks for one."""


class Succession:
    """`leave` is set when the daemon shall stop its bricks: it was told to end (`stop`), or an heir asks.

    `judge` says why no heir may come just now, or nothing.
    """

    def __init__(self, node: Node, before: Forerunner | None) -> None:
        self.estate = before.estate if before else Estate()
        self.estate.handing = before is not None  # Until this one is up, the one before can go on.
        self.leave, self.stop = asyncio.Event(), asyncio.Event()
        self.judge: Callable[[], str] = _anyone
        self._node = node
        self._before = before
        self._taken_back = ""
        self._heir: Heir | None = None
        self._resuming, self._problem = False, ""
        self._listener: socket.socket | None = None
        self._tasks = AsyncExitStack()

    def end(self) -> None:
        """The daemon is told to stop."""
        self.stop.set()
        self.leave.set()

    async def run(self, live: Callable[[], Awaitable[None]]) -> None:
        """Live until told to stop, or until an heir is up; again if an heir fails.

        What `live` raises, but not after an heir that failed: then it is tried again, since what is left is at work.
        """
        while not self.stop.is_set():
            try:
                await live()
            except (StartError, Unavailable, OSError) as error:
                if not self._resuming:
                    raise
                self._tell(f"cannot go on: {error}; trying again, and what listens goes on as it is")
                self.judge = _anyone
                await self._pause()
            if self._taken_back:
                raise StartError(self._taken_back)
            if self._heir is not None:
                if await self._heir.inherits(self.estate, self.stop):
                    log.info("process %d has taken over; ending what is under way", self._heir.pid)
                    return
                self._heir, self._resuming, self.estate.handing = None, True, False
                self.leave.clear()

    async def up(self) -> None:
        """All bricks are ready: the daemon before may end, and the next one may ask."""
        self._resuming, self._problem = False, ""
        if self._before is not None:
            self.estate.handing = False
            await self._before.up()
            self._before = None
        self.estate.close_unclaimed()
        if self._listener is None:
            try:
                self._listener = doorway.listen(self._node.data)
            except OSError as error:
                log.warning("no other process can take over from this one, %s: %s", doorway.NAME, error)
            else:
                await self._tasks.enter_async_context(_task(self._hear_all(self._listener), "asked to hand over"))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Be there for the daemon before and the next one, for the length of a block."""
        async with self._tasks as tasks:
            if self._before is not None:
                tasks.callback(self._before.channel.close)
                await tasks.enter_async_context(_task(self._hear_before(self._before), "daemon before"))
            yield
        if self._listener is not None:
            self._listener.close()  # Its file stays: it may be the next process's by now.

    async def _hear_before(self, before: Forerunner) -> None:
        self._taken_back = await before.takes_back()
        self.leave.set()

    async def _hear_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                asking, _ = await loop.sock_accept(listener)
            except OSError as error:  # Too many files are open. Who asks waits a while longer.
                log.warning("someone asks to take over and cannot be heard yet: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            channel = Channel(asking)
            try:
                async with asyncio.timeout(HELLO):
                    await self._hear(channel, *doorway.peer(asking))
            except (*LOST, TimeoutError) as error:
                log.warning("someone asked to take over, but did not say who: %s", error)
            finally:
                if self._heir is None or self._heir.channel is not channel:
                    channel.close()

    async def _hear(self, channel: Channel, pid: int, user: int) -> None:
        hello, _ = await channel.receive(Hello)
        if reason := self._refusal(hello, user):
            log.warning("process %d asked to take over and was refused: %s", pid, reason)
            await channel.send(Refused(reason))
            return
        log.info("handing over to process %d, flynn %s", pid, hello.version)
        self._heir = Heir(channel, pid)
        self.estate.handing = True
        self.leave.set()

    def _refusal(self, hello: Hello, user: int) -> str:
        node = self._node
        if user != os.geteuid():
            return f"only its own user may take over from it, not user {user}"
        if self._heir is not None:
            return f"it is handing over to process {self._heir.pid} already"
        if (hello.name, hello.url, hello.etcd) != (node.name, node.url, bool(node.etcd)):
            return (
                f"it is {node.name} at {node.url}, its store in {'etcd' if node.etcd else 'its data directory'}; "
                "to change one of these, stop it, then start without --takeover"
            )
        return "it was told to stop" if self.stop.is_set() else self.judge()

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            log.error("%s", problem)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await self.leave.wait()


def _anyone() -> str:
    return ""


@asynccontextmanager
async def open_succession(node: Node, takeover: bool) -> AsyncIterator[Succession]:
    """Begin, with all that a running daemon gives if `takeover`. At the end, nothing of it is left.

    StartError: the running daemon does not give it.
    """
    succession = Succession(node, await take_over(node) if takeover else None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, succession.end)
    try:
        async with succession.opened():
            yield succession
        await succession.estate.end()
    finally:
        succession.estate.close_all()


@asynccontextmanager
async def _task(work: Awaitable[None], name: str) -> AsyncIterator[None]:
    """Do it for the length of a block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

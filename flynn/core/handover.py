"""From a running daemon to the next process on its data directory: what passes between them, in which order.

| the next process | the running daemon |
|---|---|
| loads what is slow, then asks: `Hello` | stops its bricks, closes the store, lets the directory go |
| | gives its sockets: `Sockets`, and the rest: `Yours` |
| takes the directory, starts its bricks: `Up` | ends what it left at work |

Until `Up` the running daemon can start its bricks again. It does when the next process ends, or takes too long.
"""

import asyncio
import contextlib
import logging
import os
import socket

import msgspec

from flynn import __version__
from flynn.core.channel import FILES_LIMIT, Channel
from flynn.core.config import Node
from flynn.core.doorway import connect
from flynn.core.errors import Invalid, StartError
from flynn.core.estate import Estate

log = logging.getLogger(__name__)

LET_GO = 120.0
"""Seconds that the running daemon may take to stop its bricks."""

UP = 120.0
"""Seconds that the next process may take to start its own."""

LOST = (EOFError, ConnectionError, Invalid)
"""What a channel raises when there is nobody to talk to any more."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The next process, and what it is told of the node."""

    version: str
    name: str
    url: str
    etcd: bool


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It may not."""

    reason: str


class Sockets(msgspec.Struct, frozen=True, tag=True):
    """The names of the sockets that come with it."""

    names: list[str]


class Yours(msgspec.Struct, frozen=True, tag=True):
    """All is let go. Under `lease` is what this node has told the grid."""

    version: str
    pid: int
    lease: int


class Up(msgspec.Struct, frozen=True, tag=True):
    """The next process does all that the one before it did."""


class Back(msgspec.Struct, frozen=True, tag=True):
    """The running daemon takes all back, so the next process must end."""

    reason: str


class Heir:
    """The next process, as the running daemon sees it."""

    def __init__(self, channel: Channel, pid: int) -> None:
        self.channel, self.pid = channel, pid

    async def inherits(self, estate: Estate, stop: asyncio.Event) -> bool:
        """Give it all; whether it is up then. False also when `stop` is set before it is."""
        try:
            await self._give(estate)
            return await self._is_up(stop)
        except LOST:
            log.warning("process %d did not take over: it has ended", self.pid)
            return False
        finally:
            estate.close_presents()
            self.channel.close()

    async def _give(self, estate: Estate) -> None:
        sockets = list(estate.bequest().items())
        for start in range(0, len(sockets), FILES_LIMIT):
            some = dict(sockets[start : start + FILES_LIMIT])
            await self.channel.send(Sockets(list(some)), [sock.fileno() for sock in some.values()])
        await self.channel.send(Yours(__version__, os.getpid(), estate.lease))

    async def _is_up(self, stop: asyncio.Event) -> bool:
        up = asyncio.create_task(self.channel.receive(Up), name="wait for the heir")
        stopping = asyncio.create_task(stop.wait(), name="wait for stop")
        try:
            await asyncio.wait([up, stopping], timeout=UP, return_when=asyncio.FIRST_COMPLETED)
            if up.done():
                up.result()
                return True
            if not stop.is_set():
                log.warning("process %d did not take over: it was not up within %g s", self.pid, UP)
                await self.channel.send(Back(f"it was not up within {UP:g} s, so the daemon before it went on"))
            return False
        finally:
            for task in (up, stopping):
                task.cancel()
            await asyncio.gather(up, stopping, return_exceptions=True)


class Forerunner:
    """The daemon before, as the next process sees it; `estate` came from it."""

    def __init__(self, channel: Channel, estate: Estate) -> None:
        self.channel, self.estate = channel, estate

    async def up(self) -> None:
        """Tell it to end. It may have ended by itself."""
        with contextlib.suppress(OSError):
            await self.channel.send(Up())

    async def takes_back(self) -> str:
        """Wait until it takes all back: why. For ever if it does not."""
        try:
            back, _ = await self.channel.receive(Back)
            return str(back.reason)
        except LOST:
            self.channel.close()
            await asyncio.Event().wait()
            raise


async def take_over(node: Node) -> Forerunner | None:
    """Ask the daemon that runs on the node's data directory for all it has; None: none runs there.

    StartError: it refuses, does not let go in time, or what it gives cannot be taken; then it goes on.
    """
    sock = connect(node.data)
    if sock is None:
        return None
    channel = Channel(sock)
    try:
        async with asyncio.timeout(LET_GO):
            await channel.send(Hello(__version__, node.name, node.url, bool(node.etcd)))
            return await _given(channel)
    except Invalid as error:
        channel.close()
        raise StartError(f"what the running daemon gives cannot be taken, so it goes on: {error}") from None
    except LOST:
        channel.close()
        return None
    except TimeoutError:
        channel.close()
        raise StartError(f"the running daemon did not let go within {LET_GO:g} s and goes on; try again") from None
    except BaseException:
        channel.close()
        raise


async def _given(channel: Channel) -> Forerunner:
    given: dict[str, socket.socket] = {}
    while True:
        answer, files = await channel.receive(Sockets | Yours | Refused)
        if isinstance(answer, Refused):
            raise StartError(f"the running daemon does not hand over: {answer.reason}")
        if isinstance(answer, Yours):
            log.info("taking over from process %d, flynn %s", answer.pid, answer.version)
            return Forerunner(channel, Estate(given, answer.lease))
        given |= {name: socket.socket(fileno=file) for name, file in zip(answer.names, files, strict=True)}

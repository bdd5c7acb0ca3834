"""A connection of a TCP route: bytes pass both ways as they are, and each side ends for itself."""

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, cast

from flynn.router.dispatch import OURS
from flynn.router.tcp_end import End

if TYPE_CHECKING:
    from flynn.router.target import Target
    from flynn.router.tcp_port import Port

log = logging.getLogger(__name__)

TRIES = 4
"""Instances that one connection is offered to, at most."""


class Entry(End):
    """A client's end, from where an instance is sought; it stands for the whole passage in its port's `entries`."""

    __slots__ = ("dial", "early", "mark", "port", "since", "stirred")

    def __init__(self, port: "Port") -> None:
        super().__init__()
        self.port = port
        self.early = b""
        """What came before there was an instance to give it to: one piece, then no more is read."""
        self.dial: asyncio.Task[None] | None = None
        self.since = self.stirred = port.proxy.clock()
        self.mark = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self.port.takes(self):
            self.reset()
            return
        target = self.port.choose([])
        if target is None:
            self.port.counts.refused += 1
            self.reset()
            return
        self.dial = self.port.proxy.loop.create_task(self._connect(target), name="connect")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.other is None:
            self.early += data
            self.hold()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self.dial is not None:
            self.dial.cancel()
        self.left()

    def left(self) -> None:
        """One end is gone; with the other the passage is over."""
        if self.gone and (self.other is None or self.other.gone):
            self.port.left(self)

    def attach(self, exit: "Exit") -> bool:
        """The instance is connected; False: it is not wanted any more."""
        if self.dial is None or self.gone or self.transport.is_closing():
            return False
        self.dial = None
        self.other = exit
        self.let_go()
        if self.early:
            exit.send(self.early)
            self.early = b""
        if self.ended:
            exit.transport.write_eof()
        return True

    def idle(self, now: float) -> float:
        """Seconds for which no byte has come or gone, as far as this is called."""
        mark, exit = -self._backlog(), self.other
        mark += 2 * (self.passed + (exit.passed if exit is not None else 0))
        # It grows with each byte that comes, and with each that goes.
        if mark != self.mark or self.dial is not None:
            self.mark = mark
            self.stirred = now
        return now - self.stirred

    def break_off(self) -> None:
        """End both sides, whatever is under way."""
        for end in (self, self.other):
            if end is not None and not end.gone:
                end.reset()

    def _backlog(self) -> int:
        ends = (self, self.other)
        return sum(end.transport.get_write_buffer_size() for end in ends if end is not None and not end.gone)

    async def _connect(self, first: "Target") -> None:
        """Find an instance that accepts; while none has, no byte has reached any, so each may be tried."""
        port, target = self.port, cast("Target | None", first)
        tried: list[Target] = []
        while target is not None:
            exit = Exit(self, target)
            if await self._reaches(exit, target):
                return
            tried.append(target)
            late = port.proxy.clock() - self.since > 2 * port.connect_timeout
            target = None if late or len(tried) >= TRIES else port.choose(tried)
            port.counts.retries += target is not None
        self.dial = None
        port.counts.refused += 1
        self.reset()

    async def _reaches(self, exit: "Exit", target: "Target") -> bool:
        """Try to connect `exit` to an instance, on which it counts as in flight from now on, until it is lost."""
        proxy = self.port.proxy
        target.in_flight += 1
        try:
            async with asyncio.timeout(self.port.connect_timeout):
                await proxy.loop.create_connection(lambda: exit, target.host, target.port)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: as in `dispatch`
            if exit.made:
                return True
            log.debug("%s at %s does not accept connections: %s", target.key, target.instance.address, error)
            if getattr(error, "errno", None) not in OURS:
                target.failed(proxy.clock(), strikes=2)
            target.ended()
            if getattr(error, "errno", None) == errno.ECONNREFUSED:
                proxy.registry.refused(target)
            return False
        except asyncio.CancelledError:
            if not exit.made:
                target.ended()
            raise
        return True


class Exit(End):
    """An instance's end."""

    __slots__ = ("entry", "made", "target")

    def __init__(self, entry: Entry, target: "Target") -> None:
        super().__init__()
        self.other = self.entry = entry
        self.target = target
        self.made = False
        """Whether there was a connection: then its end is told by `connection_lost`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.made = True
        if self.target.strikes:
            self.target.answered()
        if not self.entry.attach(self):
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.target.ended()
        self.entry.left()

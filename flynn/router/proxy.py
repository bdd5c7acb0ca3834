"""What all connections of the router share: the table in use, the limits, the clock, and who is connected."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable

import msgspec

from flynn.router import ending, pages, upstream
from flynn.router.client import Client
from flynn.router.connection import READY
from flynn.router.deadlines import sweep
from flynn.router.exchange import Exchange
from flynn.router.registry import Registry
from flynn.router.seal import Seal
from flynn.router.upstream import Networks

log = logging.getLogger(__name__)

Access = Callable[[Exchange, int, pages.Fault | None], None]

SWEEP = 0.5
"""Seconds between two looks at all deadlines: they are kept this much late at worst."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long what may last, in seconds; and how many clients there may be."""

    connect_timeout: float = 5.0
    first_byte_timeout: float = 30.0
    idle_timeout: float = 55.0
    head_timeout: float = 10.0
    keepalive_timeout: float = 75.0
    tcp_idle_timeout: float = 3600.0
    max_clients: int = 20_000
    sweep: float = SWEEP


class Proxy:
    """The data plane, without its sockets: `client()` makes the protocol for each connection accepted."""

    __slots__ = (
        "access", "bits", "clients", "clock", "empty", "limits", "loop", "next_id", "now_ms", "refused", "registry",
        "seal", "stamp", "stamp_until", "stopping", "trusted",
    )  # fmt: skip

    def __init__(self, registry: Registry, limits: Limits, trusted: Networks = (), secret: str = "") -> None:
        self.registry = registry
        self.limits = limits
        self.trusted = trusted
        self.loop = asyncio.get_running_loop()
        self.clock = time.monotonic
        self.now_ms: Callable[[], float] = lambda: time.time() * 1000
        self.bits = random.getrandbits
        self.next_id = upstream.ids().__next__
        self.stamp = b""
        """What follows a request's id in its head: when it came, to the millisecond."""
        self.stamp_until = 0.0
        self.seal = Seal(secret)
        self.access: Access | None = None
        """Called with each request that has ended, its status, and the fault that ended it, if one did."""
        self.clients: set[Client] = set()
        self.stopping = False
        self.refused = 0
        """Messages that were no good requests, and were answered so."""
        self.empty = asyncio.Event()
        """Set while nobody is connected."""
        self.empty.set()

    def renew_stamp(self, now: float) -> None:
        """Make `stamp` anew; it holds for a millisecond."""
        self.stamp = upstream.suffix(int(self.now_ms()))
        self.stamp_until = now + 0.001

    def client(self) -> Client:
        """The protocol of one more connection."""
        return Client(self)

    def joined(self, client: Client) -> None:
        """Someone connected."""
        self.clients.add(client)
        self.empty.clear()
        if len(self.clients) > self.limits.max_clients:
            ending.turn_away(client, pages.FULL)

    def left(self, client: Client) -> None:
        """A connection has ended."""
        self.clients.discard(client)
        if not self.clients:
            self.empty.set()

    async def sweep(self) -> None:
        """Keep all deadlines, for ever."""
        while True:
            await asyncio.sleep(self.limits.sweep)
            now = self.clock()
            for client in tuple(self.clients):
                sweep(client, now)
            self.registry.tick(now)

    async def drain(self, timeout: float) -> int:
        """Take no more requests, end those under way, and break off what lasts over `timeout` seconds: how many."""
        self.stopping = True
        for client in tuple(self.clients):
            if client.state == READY and not client.buffer:
                client.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.empty.wait()
        late = len(self.clients)
        if late:
            log.warning("%d connections lasted over %g s and are broken off", late, timeout)
        for client in tuple(self.clients):
            client.transport.abort()
        self.registry.close_idle()
        return late

"""What all connections of the router share: the table in use, the limits, the clock, and who is connected."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable

import msgspec

from flynn.router import ending, pages
from flynn.router.client import Client
from flynn.router.client import log as access_log
from flynn.router.connection import READY
from flynn.router.deadlines import sweep
from flynn.router.registry import Registry
from flynn.router.upstream import Networks

log = logging.getLogger(__name__)

SWEEP = 0.5
"""Seconds between two looks at all deadlines: they are kept this much late at worst."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long what may last, in seconds; and how many clients there may be."""

    connect_timeout: float = 5.0
    first_byte_timeout: float = 30.0
    idle_timeout: float = 55.0
    head_timeout: float = 10.0
    keepalive_timeout: float = 75.0
    max_clients: int = 20_000
    sweep: float = SWEEP


class Proxy:
    """The data plane, without its sockets: `client()` makes the protocol for each connection accepted."""

    __slots__ = (
        "bits", "chance", "clients", "clock", "debug", "empty", "limits", "loop", "now_ms", "refused", "registry",
        "stopping", "trusted",
    )  # fmt: skip

    def __init__(self, registry: Registry, limits: Limits, trusted: Networks = ()) -> None:
        self.registry = registry
        self.limits = limits
        self.trusted = trusted
        self.loop = asyncio.get_running_loop()
        self.clock = self.loop.time
        self.now_ms: Callable[[], float] = lambda: time.time() * 1000
        self.chance = random.random
        self.bits = random.getrandbits
        self.clients: set[Client] = set()
        self.stopping = False
        self.debug = access_log.isEnabledFor(logging.DEBUG)
        self.refused = 0
        """Messages that were no good requests, and were answered so."""
        self.empty = asyncio.Event()
        """Set while nobody is connected."""
        self.empty.set()

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
            self.debug = access_log.isEnabledFor(logging.DEBUG)
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

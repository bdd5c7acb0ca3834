"""What all connections of the router share: the table in use, the limits, the clock, and who is connected."""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Annotated

import msgspec

from flynn.router import ending, pages, tunnel, upstream
from flynn.router.client import Client
from flynn.router.connection import CLOSING, LINGER, READY, TUNNEL
from flynn.router.deadlines import sweep
from flynn.router.exchange import Exchange
from flynn.router.registry import Registry
from flynn.router.seal import Seal
from flynn.router.upstream import Networks

log = logging.getLogger(__name__)

Access = Callable[[Exchange, int, pages.Fault | None], None]

SWEEP = 0.5
"""Seconds between two looks at all deadlines: they are kept this much late at worst."""

TUNNEL_TURNS = 8
"""At one in so many looks, tunnels are looked at too: their limits are long, and there may be very many of them."""

GOODBYE = 2.0
"""Seconds in which a client may take our last words, when all limits have passed."""


Seconds = Annotated[float, msgspec.Meta(ge=0.01, le=30 * 86400)]
"""A time that a setting may ask for. (NaN, neither more nor less than anything, is refused too.)"""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long what may last, in seconds (`tunnel_idle_timeout` 0: for ever); and how many clients there may be."""

    connect_timeout: Seconds = 5.0
    first_byte_timeout: Seconds = 30.0
    idle_timeout: Seconds = 55.0
    head_timeout: Seconds = 10.0
    keepalive_timeout: Seconds = 75.0
    tcp_idle_timeout: Seconds = 3600.0
    tunnel_idle_timeout: Annotated[float, msgspec.Meta(ge=0, le=30 * 86400)] = 0.0
    tunnel_leave_timeout: Seconds = 20.0
    max_clients: Annotated[int, msgspec.Meta(ge=1)] = 20_000
    sweep: Seconds = SWEEP


class Proxy:
    """The data plane, without its sockets: `client()` makes the protocol for each connection accepted."""

    __slots__ = (
        "access", "bits", "clients", "clock", "closing", "empty", "faults", "limits", "loop", "next_id", "now_ms",
        "refused", "registry", "seal", "stamp", "stamp_until", "stopping", "talking", "trusted",
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
        self.talking: set[Exchange] = set()
        """Those of them that are looked at in each sweep: all but tunnels, which may be very many, and wait long."""
        self.stopping = False
        """Whether each answer is the last of its connection, and says so."""
        self.closing = False
        """Whether a connection is closed when it waits for a request, though it was not told so."""
        self.refused = 0
        """Messages that were no good requests, and were answered so."""
        self.faults: Counter[tuple[str, int]] = Counter()
        """Requests, these among them, that the router itself answered or broke off, by code and status."""
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
        self.talking.add(client)
        self.empty.clear()
        if len(self.clients) > self.limits.max_clients:
            ending.turn_away(client, pages.FULL)

    def left(self, client: Client) -> None:
        """A connection has ended."""
        self.clients.discard(client)
        self.talking.discard(client)
        if not self.clients:
            self.empty.set()

    async def sweep(self) -> None:
        """Keep all deadlines, for ever."""
        for turn in count(1):
            await asyncio.sleep(self.limits.sweep)
            now, tunnels = self.clock(), turn % TUNNEL_TURNS == 0
            for client in tuple(self.clients if tunnels else self.talking):
                sweep(client, now)
            self.registry.tick(now)

    async def drain(self, timeout: float, tunnels: float = 0.0, idle: bool = True) -> int:
        """Take no more requests, end those under way, and break off what lasts over `timeout` seconds: how many.

        Tunnels have `tunnels` seconds; then WebSockets are told that we go away. Without `idle`, a connection that
        waits for a request may still bring one, as long as there is time: closing it could cross with that.
        """
        self.stopping, self.closing = True, idle
        began = self.loop.time()
        if idle:
            self._close_idle()
        late = 0
        for limit, end in sorted(((timeout, self._end_requests), (tunnels, self._end_tunnels)), key=lambda one: one[0]):
            await self._until_empty(began + limit)
            late += end()
        if late:
            log.warning("%d connections were not done in time while stopping and are broken off", late)
        await self._until_empty(self.loop.time() + GOODBYE)
        for client in tuple(self.clients):
            client.transport.abort()
        self.registry.close_idle()
        return late

    async def _until_empty(self, deadline: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.empty.wait()

    def _close_idle(self) -> None:
        for client in tuple(self.clients):
            if client.state == READY and not client.buffer:
                client.close()

    def _end_requests(self) -> int:
        self.closing = True
        self._close_idle()
        late = [client for client in self.clients if client.state not in (TUNNEL, CLOSING, LINGER)]
        for client in late:
            client.transport.abort()
        return len(late)

    def _end_tunnels(self) -> int:
        late = [client for client in self.clients if client.state == TUNNEL]
        for client in late:
            tunnel.go_away(client)
        return len(late)

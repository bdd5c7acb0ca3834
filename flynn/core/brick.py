"""What a brick is, and what it is given.

A brick is a name, a Config type and one coroutine. Building it is free; `run` opens what it needs with `async with`,
calls `ctx.ready()` once it is useful, and owns every task it starts. It returns soon after `ctx.stopping` is set;
one that raises is started again with a growing pause.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from flynn.core import election, keys
from flynn.core.errors import Unavailable
from flynn.core.estate import Estate
from flynn.core.metrics import Metrics
from flynn.core.model import Instance

if TYPE_CHECKING:
    import aiohttp
    import pluggy

    from flynn.core.blobs import NearShelf
    from flynn.core.config import Node
    from flynn.core.lease import NodeLease
    from flynn.core.mirror import Mirror
    from flynn.core.store import Store
    from flynn.core.web import Web

GONE = 2.0
"""Seconds that a brick which stops waits for the store to take its registration away."""


class NoConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The Config of a brick that has nothing to set."""


class Brick(Protocol):
    """A part of the daemon. `Config` is a frozen msgspec struct that refuses unknown fields; each has a default."""

    name: str
    Config: type[Any]

    def __init__(self, config: Any) -> None:
        """Keep the config (an instance of `Config`); no I/O here."""

    async def run(self, ctx: "Context") -> None:
        """Do the brick's work until `ctx.stopping` is set."""


@dataclass(eq=False)
class Context:
    """What the daemon gives to a brick. `clock()` is the time in seconds since the epoch."""

    brick: str
    node: "Node"
    store: "Store"
    mirror: "Mirror"
    lease: "NodeLease"
    web: "Web"
    http: "aiohttp.ClientSession"
    hooks: "pluggy.PluginManager"
    clock: Callable[[], float]
    data: Path
    """A directory of the brick's own, made when the daemon starts."""

    token: str
    """The grid's secret: what a call to any node API carries. `http` sends it by itself to node APIs of the grid."""

    domain: str
    stopping: asyncio.Event
    estate: Estate = field(default_factory=Estate)
    """The sockets that outlive the daemon. While it is `handing`, a brick that stops leaves its facts as they are."""

    up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all bricks of the daemon are ready."""

    metrics: Metrics = field(default_factory=Metrics)
    """What the node counts for Prometheus; a brick offers its own part while it runs."""

    near: "dict[str, NearShelf]" = field(default_factory=dict)
    """The shelf of this daemon by its URL, while it runs: what goes there from here goes without HTTP."""

    stop_limit: float = 0.0
    """Seconds that the brick needs to stop, if it needs more than others."""

    on_ready: Callable[[], None] = lambda: None
    on_say: Callable[[str], None] = lambda sentence: None
    log: logging.Logger = field(init=False)
    sentence: str = ""

    def __post_init__(self) -> None:
        self.log = logging.getLogger(f"flynn.{self.brick}")

    @property
    def host(self) -> str:
        """The name of this machine in the grid."""
        return self.node.name

    def ready(self) -> None:
        """The brick is useful from now on."""
        self.on_ready()

    def say(self, sentence: str) -> None:
        """What the brick did last or waits for, in one sentence: logged when it changes, shown by `flynn status`."""
        if sentence != self.sentence:
            self.sentence = sentence
            self.log.info("%s", sentence)
            self.on_say(sentence)

    @asynccontextmanager
    async def leading(self, name: str) -> AsyncIterator[election.Claim]:
        """Stand for election until leading, then lead: leave the block when `claim.lost()` returns."""
        claim = election.Claim(keys.election(name), self.host, self.store, self.mirror, self.lease)
        await claim.hold()
        try:
            yield claim
        finally:
            await claim.release()

    def locked(self, name: str, timeout: float = 30.0) -> AbstractAsyncContextManager[election.Claim]:
        """A lock of the whole grid, for the length of a block."""
        return election.locked(name, self.host, self.store, self.mirror, self.lease, timeout)

    @asynccontextmanager
    async def registered(self, service: str) -> AsyncIterator[None]:
        """Be found as an instance of `service`, answered by this node's API, for the length of a block."""
        key = keys.instance(service, self.host)
        address = f"{self.node.address}:{self.node.port}"
        await self.lease.put(key, Instance(id=self.host, service=service, address=address, host=self.host))
        try:
            yield
        finally:
            if not self.estate.handing:
                try:
                    async with asyncio.timeout(GONE):
                        await self.lease.delete(key)
                except TimeoutError:
                    self.log.info("%s could not be removed in time; it ends with the lease", key)

    @contextmanager
    def offering_shelf(self, shelf: "NearShelf") -> Iterator[None]:
        """Be the shelf of this daemon, for the length of a block."""
        self.near[self.node.url] = shelf
        try:
            yield
        finally:
            self.near.pop(self.node.url, None)

    def find(self, service: str) -> str:
        """The URL of an instance of one of the grid's own services, this machine's first.

        Unavailable: none is registered.
        """
        return self.find_all(service)[0]

    def find_all(self, service: str) -> list[str]:
        """The URLs of all instances of one of the grid's own services, this machine's first; Unavailable: none."""
        found = [i for i in self.mirror.facts.instances(service) if not i.draining]
        if not found:
            raise Unavailable(f"no {service} is up in the grid; `flynn status` shows what is wrong")
        return [f"http://{i.address}" for i in sorted(found, key=lambda i: i.host != self.host)]

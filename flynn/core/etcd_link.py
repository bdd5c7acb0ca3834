"""The way to etcd: its endpoints, one of them in use, and what an error on the way means.

gRPC comes with the package aetcd (channels, stubs, messages); limits, fail-over and the reading of errors are ours.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flynn.core.errors import Compacted, Invalid, NotFound, StartError, Unavailable
from flynn.core.etcd_rpc import Client, rpc
from flynn.core.store import TIMEOUT

T = TypeVar("T")

TRY = 2.0
"""Seconds that one endpoint is given for an answer before the next one is asked."""

PAUSE = 0.1
"""Seconds between two tries."""

PORT = 2379

LEADER = (("hasleader", "true"),)
"""Metadata by which a member without a leader refuses at once, and ends its watches when it loses it."""

CHANNEL = {
    "grpc.max_receive_message_length": -1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.keepalive_time_ms": 6000,
    "grpc.keepalive_timeout_ms": 3000,
    "grpc.http2.max_pings_without_data": 0,
}
"""etcd closes connections that ping more often than every 5 s (its flag --grpc-keepalive-min-time)."""

NOT_DONE = ("failed to connect", "etcdserver: no leader", "etcdserver: too many requests")
"""Texts of errors that are given before etcd has looked at the request."""

QUOTA = (
    "the space quota of etcd is used up and it takes no more writes: compact and defragment it, then run "
    "`etcdctl alarm disarm` (or start it with a larger --quota-backend-bytes)"
)


class Unanswered(Exception):
    """No answer from this endpoint now. `sent`: what was asked may have been done, or may still be."""

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Exhausted(Unavailable):
    """etcd has no space left. What was asked may have been done all the same, as the last thing that found room."""


@dataclass(eq=False)
class Endpoint:
    """One member of etcd, as `host:port`, and the stubs to ask it with."""

    address: str
    client: Any
    kv: Any = None
    lease: Any = None
    watch: Any = None

    async def connect(self) -> None:
        """Make the channel; it connects by itself with the first call, and again whenever it breaks."""
        await self.client.connect()
        self.kv, self.lease = self.client.kvstub, self.client.leasestub
        self.watch = rpc.WatchStub(self.client.channel)


Ask = Callable[[Endpoint, float], Awaitable[T]]
"""Something to ask of an endpoint, with a limit in seconds."""


@dataclass(eq=False)
class Link:
    """The endpoints, and the one in use: a call that fails there goes to the next."""

    endpoints: Sequence[Endpoint]
    _current: int = field(default=0)

    @property
    def name(self) -> str:
        return "etcd at " + ", ".join(endpoint.address for endpoint in self.endpoints)

    async def call(self, ask: Ask[T], deadline: float | None = None) -> T:
        """Ask one endpoint after the other until one answers: only what may be done twice. Unavailable past the limit.

        `deadline` is a time of the event loop's clock, TIMEOUT from now by default.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + TIMEOUT if deadline is None else deadline
        while True:
            try:
                return await self.once(ask, deadline)
            except Unanswered as error:
                if clock() + PAUSE >= deadline:
                    raise self.unavailable(error) from None
                await asyncio.sleep(PAUSE)

    async def once(self, ask: Ask[T], deadline: float) -> T:
        """Ask the endpoint in use, once. Unanswered, or what etcd's refusal means."""
        endpoint = self.endpoints[self._current]
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise Unanswered("no time was left", sent=False)
        try:
            return await ask(endpoint, min(TRY, left))
        except (rpc.AioRpcError, TimeoutError, asyncio.InvalidStateError) as error:
            judged = judge(error, endpoint.address)
            if isinstance(judged, Unanswered):
                self.leave(endpoint)
            raise judged from None

    def leave(self, endpoint: Endpoint) -> None:
        """Use the next endpoint from now on, if `endpoint` is still the one in use."""
        if self.endpoints[self._current] is endpoint:
            self._current = (self._current + 1) % len(self.endpoints)

    def unavailable(self, error: object) -> Unavailable:
        """The error for the caller after the last try."""
        return Unavailable(f"{self.name} gave no answer within {TIMEOUT:g} s ({error})")


def judge(error: Exception, address: str) -> Exception:
    """What an error of a call means: Unanswered (try again), or the FlynnError to raise."""
    if not isinstance(error, rpc.AioRpcError):
        return Unanswered(f"{address} was silent for too long", sent=True)
    code, text = error.code(), error.details() or ""
    if "space exceeded" in text:
        return Exhausted(QUOTA)
    if "too large" in text or "larger than max" in text or "too many operations" in text:
        return Invalid(f"the commit is too large for etcd ({text}); write less at once")
    if "lease not found" in text:
        return NotFound("the lease has ended")
    if "required revision has been compacted" in text:
        return Compacted("the revision read is gone; read afresh")
    if code in (rpc.StatusCode.UNAUTHENTICATED, rpc.StatusCode.PERMISSION_DENIED) or "user name is empty" in text:
        return StartError(f"etcd at {address} asks for a user and a password: not supported yet; turn its auth off")
    return Unanswered(f"{address}: {text or code.name}", sent=not text.startswith(NOT_DONE))


@asynccontextmanager
async def open_link(urls: Sequence[str]) -> AsyncIterator[Link]:
    """A link to these endpoints (`host:port` or `http://host:port`). StartError: one of them is no good."""
    addresses = list(dict.fromkeys(address(url) for url in urls))
    if not addresses:
        raise StartError("no etcd endpoint is given; name at least one, such as http://10.0.0.1:2379")
    endpoints = []
    try:
        for each in addresses:
            host, _, port = each.rpartition(":")
            endpoints.append(Endpoint(each, Client(host, int(port), options=CHANNEL)))
            await endpoints[-1].connect()
        yield Link(endpoints)
    finally:
        for endpoint in endpoints:
            await endpoint.client.close()


def address(url: str) -> str:
    """The `host:port` of an endpoint as a user writes it. StartError says what is wrong with it."""
    example = "write it as http://10.0.0.1:2379"
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, PORT if parts.port is None else parts.port
    except ValueError as error:
        raise StartError(f"the etcd endpoint {url!r} is no good ({error}); {example}") from None
    if parts.scheme == "https":
        raise StartError(f"the etcd endpoint {url!r} asks for TLS: not supported yet; {example}")
    if parts.username is not None or parts.password is not None:
        raise StartError("an etcd endpoint with a user and a password is not supported yet; leave them out")
    if parts.scheme != "http" or not host or not port or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise StartError(f"the etcd endpoint {url!r} is no good; {example}")
    if any(c.isspace() or c == "," for c in host):
        raise StartError(f"the etcd endpoint {url!r} is no good: one endpoint each; {example}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

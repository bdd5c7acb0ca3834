"""Connections that come through a proxy which says first who is behind it (`proxyproto.py`); then they are clients."""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from flynn.router.proxyproto import BadHeader, Header, parse
from flynn.router.upstream import is_trusted

if TYPE_CHECKING:
    from flynn.router.proxy import Proxy

log = logging.getLogger(__name__)

QUIET = 60.0
"""Seconds between two warnings of connections that were closed here."""


class Door:
    """Where such connections wait for their header. If any networks are trusted, only peers there may come in."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.waiting: set[Proxied] = set()
        self.closed = 0
        """Connections that brought no good header, in time and from where it may come."""
        self._warned = float("-inf")

    def client(self) -> "Proxied":
        """The protocol of one more connection."""
        return Proxied(self)

    def turn_away(self, who: "Proxied", reason: str) -> None:
        """Close a connection without a word: who speaks to us here is no client."""
        who.transport.abort()
        self.closed += 1
        now = self.proxy.clock()
        if now - self._warned > QUIET:
            self._warned = now
            log.warning(
                "a connection from %s was closed: %s (%d so far; router.proxy_protocol is on)",
                who.address, reason, self.closed,
            )  # fmt: skip

    def close(self) -> None:
        """Close those that still wait."""
        for one in tuple(self.waiting):
            one.transport.abort()


class Proxied(asyncio.Protocol):
    """One connection until its header is here; then the transport has the client's protocol."""

    __slots__ = ("address", "buffer", "door", "late", "transport")

    transport: asyncio.Transport
    late: asyncio.TimerHandle

    def __init__(self, door: Door) -> None:
        self.door = door
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        door, proxy = self.door, self.door.proxy
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "0.0.0.0"
        door.waiting.add(self)
        limit = proxy.limits.head_timeout
        self.late = proxy.loop.call_later(limit, door.turn_away, self, f"no PROXY header within {limit:g} s")
        if proxy.trusted and not is_trusted(self.address, proxy.trusted):
            door.turn_away(self, "it is not of router.trusted")
        elif len(door.waiting) + len(proxy.clients) > proxy.limits.max_clients:
            door.turn_away(self, f"there are {proxy.limits.max_clients} connections already")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.buffer += data
        try:
            header = parse(self.buffer)
        except BadHeader as error:
            self.door.turn_away(self, str(error))
            return
        if header is not None:
            self._hand_over(header)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def _hand_over(self, header: Header) -> None:
        """Let the client's protocol have the connection, and what came after the header."""
        self._leave()
        client = self.door.proxy.client()
        if header.address:
            client.peer = (header.address, header.port)
            client.own = (header.own_address, header.own_port)
        self.transport.set_protocol(client)
        client.connection_made(self.transport)
        rest, self.buffer = self.buffer[header.length :], b""
        if rest and not self.transport.is_closing():
            client.data_received(rest)

    def _leave(self) -> None:
        self.late.cancel()
        self.door.waiting.discard(self)

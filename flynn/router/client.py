"""The router's side of a connection to a client: one request at a time, in order, on as long as both want."""

import asyncio
import re
from typing import TYPE_CHECKING, cast

from flynn.router import ending, pages, tunnel, upstream
from flynn.router.connection import CLOSING, LINGER, READY, SENDING, TUNNEL, UNDER_WAY
from flynn.router.exchange import Exchange
from flynn.router.fields import Refusal
from flynn.router.head import HEAD_LIMIT, Request, parse_request, refuse_early
from flynn.router.plain import LIMIT, plain_request

if TYPE_CHECKING:
    from flynn.router.proxy import Proxy

HOLD = 64 * 1024
"""Bytes of a client that may wait here for something else to end; then no more are read."""

_EMPTY = re.compile(rb"\A(?:\r\n)++")


class Client(Exchange):
    """What a client's connection tells us: bytes, their end, and how much it takes."""

    __slots__ = ("own", "peer")

    def __init__(self, proxy: "Proxy") -> None:
        super().__init__(proxy)
        self.peer: tuple[str, int] | None = None
        self.own: tuple[str, int] | None = None
        """The ends of the connection that a proxy has passed on to us; None: those of this very connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened(cast(asyncio.Transport, transport))
        peer = self.peer or transport.get_extra_info("peername")
        own = self.own or transport.get_extra_info("sockname")
        self.address = str(peer[0]) if peer else "0.0.0.0"
        self.port = int(own[1]) if own else 0
        self.marks = upstream.marks(self.address, self.port)
        self.trusted = upstream.is_trusted(self.address, self.proxy.trusted)
        self.proxy.joined(self)

    def data_received(self, data: bytes) -> None:
        self.stirred = self.proxy.clock()
        state = self.state
        if state == READY and not self.choked:
            self._pump(self.buffer + data if self.buffer else data)
        elif state == SENDING:
            self.pass_on(data)
        elif state < LINGER:
            self.buffer += data
            if len(self.buffer) > HOLD:
                self.hold()

    def eof_received(self) -> bool:
        """A client that ends its side in the middle of a request has gone, unless it has sent all and said that this is
        its last request: then it may well wait for the answer (RFC 9112 section 9.6)."""
        if self.state == TUNNEL:
            return tunnel.client_ends(self)
        if self.state in UNDER_WAY:
            if self.done and not self.request.keep:
                self.halves = 1
                return True
            self._went_away()
            self.transport.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self.state in UNDER_WAY:
            self._went_away()
        elif self.place is not None:
            self.ended(self.status)
        self.detach()
        self.state = CLOSING
        self.buffer = b""
        self.proxy.left(self)

    def pause_writing(self) -> None:
        self.choked = True
        if self.backend is not None:
            self.backend.hold()

    def resume_writing(self) -> None:
        self.choked = False
        self.stirred = self.proxy.clock()
        if self.backend is not None:
            self.backend.let_go()
        self.go_on()

    def go_on(self) -> None:
        if self.state == READY and not self.choked:
            self.let_go()
            if data := self.buffer:
                self.buffer = b""
                self._pump(data)

    def _pump(self, data: bytes) -> None:
        """Take one head after the other, as long as each is answered at once."""
        while True:
            if (seen := self.seen) and data.startswith(seen):
                request, data = self.request, data[len(seen) :]
            else:
                if data[0] == 13:
                    # RFC 9112 section 2.2: empty lines before a request are passed over.
                    data = _EMPTY.sub(b"", data)
                end = data.find(b"\r\n\r\n")
                if end < 0 or end > HEAD_LIMIT:
                    self._wait_for_more(data)
                    return
                found = self._read(data, end)
                if found is None:
                    return
                request, data = found, data[end + 4 :]
            self.buffer = b""
            self.begin(request, data)
            if self.state != READY or not self.buffer or self.choked:
                return
            data, self.buffer = self.buffer, b""

    def _read(self, data: bytes, end: int) -> Request | None:
        """The request whose head ends at `end`, before its empty line; None: it was refused."""
        request = (plain_request(data, end + 2) if end < LIMIT else None) or parse_request(data[: end + 2])
        if type(request) is Request:
            self.seen = data[: end + 4] if end < LIMIT else b""
            return request
        assert isinstance(request, Refusal)
        self.buffer = b""
        ending.refuse(self, request.status, request.reason)
        return None

    def _wait_for_more(self, data: bytes) -> None:
        if not self.buffer and data not in (b"", b"\r"):
            self.since = self.stirred
        seen, self.buffer = len(self.buffer), data
        if data and (refusal := refuse_early(data, seen)):
            ending.refuse(self, refusal.status, refusal.reason)

    def _went_away(self) -> None:
        if self.place is not None:
            self.place.counts.gone += 1
        self.ended(499, pages.GONE)
        self.state = CLOSING

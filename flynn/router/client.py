"""The router's side of a connection to a client: one request at a time, in order, on as long as both want."""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from flynn.router import dispatch, ending, pages, tunnel, upstream
from flynn.router.body import BadBody, Body, Chunks, Counted
from flynn.router.connection import CLOSING, CONNECTING, LINGER, READY, SENDING, TUNNEL, WAITING, Connection
from flynn.router.fields import CHUNKED, Refusal
from flynn.router.head import HEAD_LIMIT, Request, parse_request, refuse_early, request_id

if TYPE_CHECKING:
    from flynn.router.backend import Backend
    from flynn.router.proxy import Proxy
    from flynn.router.target import Service, Target

log = logging.getLogger("flynn.router.access")

HOLD = 64 * 1024
"""Bytes of a client that may wait here for something else to end; then no more are read."""


class Client(Connection):
    """One connection of a client, and the request it has under way."""

    __slots__ = (
        "address", "answered", "backend", "body", "dial", "done", "halves", "id", "keep", "marks", "pending", "port",
        "replayed", "request", "served", "service", "target", "tried", "trusted",
    )  # fmt: skip

    request: Request

    def __init__(self, proxy: "Proxy") -> None:
        super().__init__(proxy)
        self.pending = b""
        """The request's head, and bytes of its body, that are to be sent or may have to be sent again."""
        self.service: Service | None = None
        self.target: Target | None = None
        self.backend: Backend | None = None
        self.dial: asyncio.Task[None] | None = None
        self.tried: list[Target] = []
        self.replayed = False
        self.id = b""
        self.body: Body | None = None
        self.done = True
        """Whether the request's last byte was received."""
        self.answered = False
        """Whether the head of an answer was sent."""
        self.keep = False
        self.served = 0
        self.halves = 0
        """How many sides of a tunnel have ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
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
            self._pass(data)
        elif state == TUNNEL:
            assert self.backend is not None
            self.backend.transport.write(data)
        elif state < LINGER:
            self.buffer += data
            if len(self.buffer) > HOLD:
                self.hold()

    def eof_received(self) -> bool:
        """A client that ends its side in the middle of a request has gone; half an end is known in tunnels only."""
        if self.state == TUNNEL:
            return tunnel.client_ends(self)
        if self.state in (CONNECTING, SENDING, WAITING):
            self._went_away()
            self.transport.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self.state in (CONNECTING, SENDING, WAITING):
            self._went_away()
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
        """Take the next request if it is here already. Called where a callback may have ended the one before."""
        if self.state == READY and not self.choked:
            self.let_go()
            if self.buffer:
                self._pump(self.buffer)

    def _pump(self, data: bytes) -> None:
        """Take one head after the other, as long as each is answered at once."""
        while True:
            if data[0] == 13 and data[:2] == b"\r\n":
                # RFC 9112 section 2.2: an empty line before a request is passed over.
                data = data[2:]
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > HEAD_LIMIT:
                self._wait_for_more(data)
                return
            self.buffer = b""
            request = parse_request(data[: end + 2])
            if type(request) is Refusal:
                ending.refuse(self, request.status, request.reason)
                return
            assert isinstance(request, Request)
            self._begin(request, data[end + 4 :])
            if self.state != READY or not self.buffer or self.choked:
                return
            data = self.buffer

    def _wait_for_more(self, data: bytes) -> None:
        if not self.buffer:
            self.since = self.stirred
        self.buffer = data
        if data and (refusal := refuse_early(data)):
            ending.refuse(self, refusal.status, refusal.reason)

    def _begin(self, request: Request, data: bytes) -> None:
        """Start on a request; `data` follows its head."""
        self.request = request
        self.since = self.stirred
        self.served += 1
        self.answered = self.replayed = False
        self.id = request_id(request.fields) or b"%032x" % self.proxy.bits(128)
        if request.length:
            self.body = Chunks() if request.length == CHUNKED else Counted(request.length)
            data = self._take_body(data)
            if self.state != READY:
                return
        else:
            self.done = True
            if data:
                self.buffer, data = data, b""
        service = self.proxy.registry.table.find(request.host, request.target)
        if service is None:
            ending.fault(self, pages.NO_ROUTE)
            return
        self.service = service
        service.in_flight += 1
        marks = upstream.relayed_marks(request, self.address, self.port) if self.trusted else self.marks
        self.pending = upstream.head(request, marks, self.id, int(self.proxy.now_ms())) + data
        dispatch.dispatch(self)

    def _take_body(self, data: bytes) -> bytes:
        """What of `data` belongs to the request's body; the rest is kept for later. A broken body is refused."""
        assert self.body is not None
        try:
            end = self.body.feed(data)
        except BadBody as error:
            self.done = False
            ending.refuse(self, 400, str(error))
            return b""
        self.done = end >= 0
        if self.done and end < len(data):
            self.buffer, data = data[end:], data[:end]
        return data

    def _pass(self, data: bytes) -> None:
        """Pass a piece of the body on."""
        data = self._take_body(data)
        if self.state == SENDING:
            assert self.backend is not None
            if self.done:
                self.state = WAITING
            self.backend.transport.write(data)

    def takes(self, backend: "Backend") -> bool:
        """A connection was made for this client: send the request on it, unless it is not wanted any more."""
        if self.state != CONNECTING or self.target is not backend.target or self.dial is None:
            return False
        self.dial = None
        self.attach(backend)
        return True

    def attach(self, backend: "Backend") -> None:
        """Send the request on this connection."""
        self.backend = backend
        self.stirred = self.proxy.clock()
        pending = self.pending
        if not self.request.repeatable:
            self.pending = b""
        if self.done:
            self.state = WAITING
            backend.begin(self, pending)
            return
        self.state = SENDING
        backend.begin(self, pending)
        if data := self.buffer:
            self.buffer = b""
            self._pass(data)
        if not backend.choked:
            self.let_go()

    def begins(self, status: int, keep: bool) -> None:
        """The head of the answer is here. `keep`: the connection goes on after it."""
        self.answered = True
        self.keep = keep
        self.pending = b""
        assert self.target is not None
        assert self.service is not None
        if self.target.strikes:
            self.target.answered()
        self.service.answers[status // 100] += 1
        if self.proxy.debug:
            self.log(status, "")

    def finished(self) -> None:
        """The answer was passed on to its end, and the backend let go of."""
        self.backend = None
        self._clear()
        if self.keep and not self.proxy.stopping:
            self.state = READY
            self.since = self.proxy.clock()
            if self.buffer or self.held:
                self.go_on()
        elif self.done:
            self.close()
        else:
            self.linger()

    def lost_backend(self, backend: "Backend") -> None:
        """The connection to the app ended before its time."""
        self.backend, backend.client = None, None
        dispatch.lost(self, backend)
        self.go_on()

    def upgraded(self) -> None:
        """The app has agreed to leave HTTP."""
        assert self.service is not None
        self.service.answers[1] += 1
        tunnel.begin(self)

    def detach(self) -> None:
        """Have nothing more to do with the app: the request has ended, or is broken off."""
        if self.dial is not None:
            self.dial.cancel()
            self.dial = None
        if self.backend is not None:
            self.backend.client = None
            self.backend.transport.abort()
            self.backend = None
        self._clear()

    def log(self, status: int, code: str) -> None:
        """One line on the request and its answer."""
        request, target = self.request, self.target
        log.debug(
            "%d %s %s %s%s %s to %s", status, code or "-", request.method.decode(), request.host.decode(),
            request.target.decode(), self.id.decode(), target.key if target else "-",
        )  # fmt: skip

    def _went_away(self) -> None:
        if self.service is not None:
            self.service.gone += 1
            if self.proxy.debug:
                self.log(499, "H27")
        self.detach()

    def _clear(self) -> None:
        """The request is not in flight any more."""
        if self.target is not None:
            self.target.ended()
            self.target = None
        if self.service is not None:
            self.service.in_flight -= 1
            self.service = None
        if self.tried:
            self.tried = []
        self.pending = b""

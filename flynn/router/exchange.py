"""The request that a client has under way: from its head to the last byte of its answer."""

import asyncio
from typing import TYPE_CHECKING

from flynn.router import admit, dispatch, ending, pages, tunnel, upstream
from flynn.router.body import BadBody, Body, Chunks, Counted
from flynn.router.connection import CONNECTING, READY, SENDING, WAITING, Connection
from flynn.router.fields import CHUNKED
from flynn.router.head import Request

if TYPE_CHECKING:
    from flynn.router.backend import Backend
    from flynn.router.place import Place
    from flynn.router.proxy import Proxy
    from flynn.router.table import Table
    from flynn.router.target import Target


HEAVY = 4096
"""Bytes of a head that is not kept while its client waits."""

SPENT = Request(b"", b"", b"", True, False, 0, b"", b"", (), b"", False, b"")
"""A request that is over and forgotten."""


class Exchange(Connection):
    """One client's connection, and the request it has under way."""

    __slots__ = (
        "address", "answered", "asked", "backend", "body", "dial", "done", "edition", "extra", "found", "halves", "id",
        "keep", "known", "leave", "marks", "pending", "place", "port", "prefix", "replayed", "request", "seen",
        "sent", "served", "status", "target", "tried", "trusted", "wanted",
    )  # fmt: skip

    request: Request
    address: str
    port: int
    """Who the client is, and the port that it came to."""
    marks: bytes
    trusted: bool
    """Whether it may say who is behind it."""
    leave: float
    """When a tunnel shall end, because its route or its instance is going; 0: as long as it likes."""

    def __init__(self, proxy: "Proxy") -> None:
        super().__init__(proxy)
        self.known: Request | None = None
        """The last request; `prefix` is what is sent of its head but for id and time."""
        self.prefix = b""
        self.seen = b""
        """The last request's head, to its empty line, if it is short: many clients send the same again."""
        self.found: Place | None = None
        self.edition: object = None
        """Where the last request's head led, in which edition of the table."""
        self.pending = b""
        """The request's head, and bytes of its body, that are to be sent or may have to be sent again."""
        self.place: Place | None = None
        self.target: Target | None = None
        self.wanted: Target | None = None
        """The instance that a sticky route's client was with."""
        self.backend: Backend | None = None
        self.dial: asyncio.Task[None] | None = None
        self.tried: tuple[Target, ...] = ()
        self.replayed = False
        self.id = b""
        self.body: Body | None = None
        self.done = True
        """Whether the request's last byte was received."""
        self.answered = False
        """Whether the head of an answer was sent."""
        self.extra = b""
        """Fields of the answer that are ours, each as `\\nName: value\\r`."""
        self.status = 0
        self.sent = 0
        """Bytes of the answer's body."""
        self.asked = 0.0
        """When the request was sent to the instance."""
        self.keep = False
        self.served = 0
        self.halves = 0
        """How many sides of a tunnel have ended; the client may have ended its own before there was one."""

    def begin(self, request: Request, rest: bytes) -> None:
        """Start on a request; `rest` follows its head."""
        proxy = self.proxy
        now = self.since = self.stirred
        self.request = request
        self.served += 1
        self.answered = self.replayed = False
        self.id = request.id or proxy.next_id()
        if request.length:
            self.body = Chunks() if request.length == CHUNKED else Counted(request.length)
            rest = self._take_body(rest)
            if self.state != READY:
                return
        else:
            self.done = True
            if rest:
                self.buffer, rest = rest, b""
        table = proxy.registry.table
        if request is not self.known or table.edition is not self.edition:
            self._learn(request, table)
        place = self.place = self.found
        if place is None:
            ending.fault(self, pages.NO_ROUTE)
            return
        place.counts.in_flight += 1
        if now >= proxy.stamp_until:
            proxy.renew_stamp(now)
        self.pending = self.prefix + self.id + proxy.stamp
        if rest:
            self.pending += rest
        if not place.limited or admit.admit(self):
            dispatch.dispatch(self, now)

    def _learn(self, request: Request, table: "Table") -> None:
        """What need not be found out again while the client sends the same head, and the table is the same."""
        self.found, self.edition = table.find(request.host, request.target), table.edition
        if request is not self.known:
            trusted = self.trusted
            marks = upstream.relayed_marks(request, self.address, self.port) if trusted else self.marks
            self.known, self.prefix = request, upstream.prefix(request, marks)

    def slim(self) -> None:
        """Forget the last head, if it is large: the client waits, and very many may."""
        if len(self.prefix) > HEAVY:
            self.known, self.prefix, self.request, self.seen = None, b"", SPENT, b""

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

    def pass_on(self, data: bytes) -> None:
        """Pass a piece of the body on."""
        data = self._take_body(data)
        if self.state != SENDING:
            return
        if admit.too_long(self):
            self.go_on()
            return
        assert self.backend is not None
        if self.done:
            self.state = WAITING
        self.backend.send(data)

    def takes(self, backend: "Backend") -> bool:
        """A connection was made for this client: send the request on it, unless it is not wanted any more."""
        if self.state != CONNECTING or self.target is not backend.target or self.dial is None:
            return False
        self.dial = None
        self.stirred = self.proxy.clock()
        self.attach(backend)
        return True

    def attach(self, backend: "Backend") -> None:
        """Send the request on this connection."""
        self.backend = backend
        self.asked = self.stirred
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
            self.pass_on(data)
        if not backend.choked:
            self.let_go()

    def begins(self, status: int, keep: bool) -> None:
        """The head of the answer is here. `keep`: the connection goes on after it."""
        self.answered = True
        self.status = status
        self.keep = keep
        self.pending = b""
        target = self.target
        assert target is not None
        target.answers[status // 100] += 1
        target.paced(self.stirred - self.asked)
        if target.strikes:
            target.answered()

    def finished(self) -> None:
        """The answer was passed on to its end, and the backend let go of."""
        self.backend = None
        place, proxy = self.place, self.proxy
        assert place is not None
        place.counts.ended(self.status, self.stirred - self.since)
        if proxy.access is not None:
            proxy.access(self, self.status, None)
        self._settle()
        if self.keep and not proxy.closing:
            self.state = READY
            self.since = self.stirred
            if self.buffer or self.held:
                self.go_on()
        elif self.done:
            self.close()
        else:
            self.linger()

    def go_on(self) -> None:
        """Take the next request if it is here already. Called where a callback may have ended the one before."""
        raise NotImplementedError

    def lost_backend(self, backend: "Backend") -> None:
        """The connection to the app ended before its time."""
        self.backend, backend.client = None, None
        dispatch.lost(self, backend)
        self.go_on()

    def upgraded(self, protocol: bytes, sent: bytes) -> None:
        """The app has agreed to leave HTTP for another protocol, in which `sent` was passed on already."""
        assert self.place is not None
        self.status = 101
        self.place.counts.ended(101, self.stirred - self.since)
        tunnel.begin(self, protocol, sent)

    def ended(self, status: int, fault: "pages.Fault | None" = None) -> None:
        """Have nothing more to do with the app: the request was answered with `status`, or ended with it (499, 101).

        A tunnel (101) was counted when it began.
        """
        if self.place is not None and status != 101:
            self.place.counts.ended(status, self.proxy.clock() - self.since)
        if self.proxy.access is not None:
            self.proxy.access(self, status, fault)
        self.detach()

    def detach(self) -> None:
        """Let go of the app, whatever it was doing for us."""
        if self.dial is not None:
            self.dial.cancel()
            self.dial = None
        if self.backend is not None:
            self.backend.client = None
            self.backend.transport.abort()
            self.backend = None
        self._settle()

    def _settle(self) -> None:
        """The request is not in flight any more."""
        if (target := self.target) is not None:
            self.target = None
            target.in_flight -= 1
            if target.retired:
                target.when_less()
        if (place := self.place) is not None:
            self.place = None
            place.counts.in_flight -= 1
            if place.limited:
                admit.left(self, place)
        if self.tried:
            self.tried = ()
        self.pending = b""

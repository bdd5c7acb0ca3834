"""The router's side of a connection to an app. Its answers are not trusted: they are checked as requests are."""

import asyncio
import re
from typing import TYPE_CHECKING, cast

from flynn.router import ending, pages, tunnel
from flynn.router.body import ENDLESS, BadBody, Body, Chunks, Counted
from flynn.router.fields import CHUNKED, UNTOLD
from flynn.router.head import END, HEAD_LIMIT, Response, junk, parse_response
from flynn.router.plain import LIMIT, plain_response
from flynn.router.wire import Wire

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange
    from flynn.router.target import Target

HEAD, BODY, TUNNEL = range(3)

INTERIMS_PASSED = 16
"""Interim answers (1xx) to one request that reach the client; more are dropped."""

INTERIMS = 256
"""Interim answers after which it is no HTTP any more."""

KEEP_OLD = b"\nConnection: keep-alive\r\n\r\n"
CLOSE = b"\nConnection: close\r\n\r\n"


class Backend(Wire):
    """One connection to an instance: idle in its target's pool, or at work for one client."""

    __slots__ = (
        "body", "buffer", "client", "endless", "heard", "interims", "keep", "response", "seen", "since", "state",
        "target", "used",
    )  # fmt: skip

    response: Response
    """What the last head says."""

    def __init__(self, target: "Target", client: "Exchange") -> None:
        super().__init__()
        self.target = target
        self.client: Exchange | None = client
        self.state = HEAD
        self.buffer = b""
        self.body: Body = Counted(0)
        self.endless = False
        """Whether the body ends with the connection."""
        self.interims = 0
        self.since = 0.0
        """When it became idle."""
        self.used = False
        """Whether it has answered before: then it may die of old age, and a request may be sent again."""
        self.heard = False
        """Whether a byte of the answer has come."""
        self.keep = False
        self.seen = b""
        """The head of the last answer, to its empty line, if it is short: many apps say the same again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened(cast(asyncio.Transport, transport))
        client, self.client = self.client, None
        if client is None or not client.takes(self):
            self.transport.abort()

    def begin(self, client: "Exchange", data: bytes) -> None:
        """Work for a client: send the first bytes of its request."""
        self.client = client
        self.state = HEAD
        self.heard = False
        self.interims = 0
        self.send(data)

    def data_received(self, data: bytes) -> None:
        client = self.client
        if client is None:
            self.transport.abort()
            return
        client.stirred = client.proxy.clock()
        if self.state == BODY:
            self._relay(client, data)
        else:
            self.heard = True
            self._heads(client, self.buffer + data if self.buffer else data)

    def eof_received(self) -> bool:
        client = self.client
        if self.state == TUNNEL and client is not None:
            return tunnel.app_ends(client)
        self._over(None)
        self.transport.abort()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self.client is None:
            self.target.forget(self)
        elif self.state == TUNNEL:
            tunnel.app_lost(self.client, error)
        else:
            self._over(error)

    def pause_writing(self) -> None:
        self.choked = True
        if self.client is not None:
            self.client.hold()

    def resume_writing(self) -> None:
        self.choked = False
        if self.client is not None:
            self.client.stirred = self.client.proxy.clock()
            self.client.let_go()

    def _heads(self, client: "Exchange", data: bytes) -> None:
        """Take the head of the answer, and interim answers before it."""
        while True:
            end = len(seen) if (seen := self.seen) and data.startswith(seen) else self._read(client, data)
            if not end:
                return
            response = self.response
            if response.length == len(data) - end and response.status >= 200 and self._whole(client, response, data):
                return
            self.buffer = b""
            data = data[end:]
            if response.status == 101:
                self._upgrade(client, response, data)
                return
            if response.status >= 200:
                self._answer(client, response, data)
                return
            self.interims += 1
            if self.interims > INTERIMS:
                ending.spoiled(client, pages.JUNK)
                return
            if self.interims <= INTERIMS_PASSED and client.request.minor:
                client.send(response.whole)
            if not data:
                return

    def _read(self, client: "Exchange", data: bytes) -> int:
        """Read a head: where the empty line ends that ends it. 0: it has no end yet, or it was no good."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_LIMIT:
            self.buffer = data
            if end > 0 or len(data) > HEAD_LIMIT or junk(data):
                ending.spoiled(client, pages.JUNK)
            return 0
        response = (plain_response(data, end + 2) if end < LIMIT else None) or parse_response(data[: end + 2])
        if type(response) is not Response:
            ending.spoiled(client, pages.JUNK)
            return 0
        self.response = response
        self.seen = data[: end + 4] if end < LIMIT else b""
        return end + 4

    def _whole(self, client: "Exchange", response: Response, data: bytes) -> bool:
        """Pass on an answer that came in one piece, which most do, if both connections just go on after it."""
        request = client.request
        if not (response.keep and request.keep and request.minor and client.done) or (
            client.extra or client.proxy.stopping or self.choked or request.method == b"HEAD"
        ):
            return False
        client.begins(response.status, True)
        client.sent = response.length
        client.send(response.whole + data[-response.length :] if response.length else response.whole)
        self.client = None
        self.buffer = b""
        if self.held:
            self.let_go()
        self.used = True
        self.target.give_back(self, client.stirred)
        client.finished()
        return True

    def _answer(self, client: "Exchange", response: Response, data: bytes) -> None:
        """Pass the final head on, with as much of the body as came with it."""
        request = client.request
        length = 0 if request.method == b"HEAD" else response.length
        head, keep = response.head, request.keep and client.done and not client.proxy.stopping
        self.endless = length == UNTOLD
        self.keep = response.keep and not self.endless
        if length == CHUNKED:
            self.body = Chunks(decode=not request.minor)
            if not request.minor:
                head = re.sub(rb"\n(?i:transfer-encoding):[^\r]*\r", b"", head)
                keep = False
        else:
            self.body = Counted(ENDLESS if self.endless else length)
            keep = keep and not self.endless
        self.state = BODY
        end = 0 if not length else self._end_in(client, data, pages.JUNK) if data else -1
        if self.client is None:
            return
        client.begins(response.status, keep)
        client.sent = 0
        head += client.extra + (END if request.minor else KEEP_OLD) if keep else CLOSE
        self._write(client, data, end, head)

    def _relay(self, client: "Exchange", data: bytes) -> None:
        """Pass on a piece of the body."""
        end = self._end_in(client, data, pages.CUT)
        if self.client is not None:
            self._write(client, data, end)

    def _end_in(self, client: "Exchange", data: bytes, fault: pages.Fault) -> int:
        """Where in `data` the body ends, or -1. A broken body ends the work for the client with `fault`."""
        try:
            return self.body.feed(data)
        except BadBody:
            ending.spoiled(client, fault)
            return -1

    def _write(self, client: "Exchange", data: bytes, end: int, head: bytes = b"") -> None:
        size = len(data)
        if 0 <= end < size:
            data = data[:end]
        if isinstance(self.body, Chunks) and not client.request.minor:
            data = self.body.take()
        client.sent += len(data)
        client.send(head + data if head else data)
        if end >= 0:
            self._done(client, surplus=end < size)

    def _done(self, client: "Exchange", surplus: bool) -> None:
        """The answer is complete. Bytes after it belong to nobody: the connection is not used again."""
        self.client = None
        self.let_go()
        if surplus or not self.keep or not client.done or self.choked:
            self.transport.abort()
        else:
            self.used = True
            self.target.give_back(self, client.stirred)
        client.finished()

    def _upgrade(self, client: "Exchange", response: Response, data: bytes) -> None:
        if not client.request.upgrade or not client.done:
            ending.spoiled(client, pages.JUNK)
            return
        self.state = TUNNEL
        protocol = response.upgrade or client.request.upgrade
        end = b"\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol
        client.send(response.head + client.extra + end + data)
        client.upgraded(protocol, data)

    def _over(self, error: Exception | None) -> None:
        """The connection ended. That is the end of a body without a length, and a fault in all other cases."""
        client = self.client
        if client is None:
            return
        if self.state == BODY and self.endless and error is None:
            self.keep = False
            self._done(client, surplus=False)
        else:
            client.lost_backend(self)

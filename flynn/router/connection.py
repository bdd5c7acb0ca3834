"""One connection with a client, whatever passes on it: its state, its flow, and the ways in which it ends."""

import socket
import struct
from typing import TYPE_CHECKING

from flynn.router.wire import Wire

if TYPE_CHECKING:
    from flynn.router.proxy import Proxy

READY, QUEUED, CONNECTING, SENDING, WAITING, TUNNEL, LINGER, CLOSING = range(8)
"""READY: a head is awaited. QUEUED: the request waits for its turn. CONNECTING: an instance is sought. SENDING: the
body is passed on as it comes. WAITING: all is sent, the answer is awaited or under way. TUNNEL: HTTP is over, bytes
pass both ways. LINGER: all is said, but the client has not read it yet, so what it still sends is dropped (closing at
once could destroy our last words). CLOSING: the last bytes go out."""

UNDER_WAY = frozenset({QUEUED, CONNECTING, SENDING, WAITING})
"""The states of a connection that has a request under way."""


class Connection(Wire):
    """What every connection needs to be held, let go, and ended in good time."""

    __slots__ = ("backlog", "buffer", "proxy", "since", "state", "stirred")

    def __init__(self, proxy: "Proxy") -> None:
        super().__init__()
        self.proxy = proxy
        self.state = READY
        self.buffer = b""
        """Bytes received that are not looked at yet."""
        self.backlog = 0
        self.since = self.stirred = proxy.clock()
        """When the state of now, or the head, began; and when a byte came last."""

    def trickles(self, now: float) -> bool:
        """Whether the client has taken some bytes since the last call: slow, but not dead."""
        before, self.backlog = self.backlog, self.transport.get_write_buffer_size()
        if not self.backlog or self.backlog == before:
            return False
        self.stirred = now
        if self.state not in UNDER_WAY:
            self.since = now  # Of a request it is when that began.
        return True

    def close(self) -> None:
        """End the connection once the client has taken all."""
        self.state = CLOSING
        self.since = self.proxy.clock()
        self.transport.close()

    def linger(self) -> None:
        """End our side, and drop what still comes until the client ends its own."""
        self.state = LINGER
        self.since = self.stirred
        self.buffer = b""
        self.end()
        self.let_go()

    def reset(self) -> None:
        """Break the connection, so that the client cannot take what it got for the whole."""
        self.state = CLOSING
        if (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

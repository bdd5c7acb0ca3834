"""After an upgrade HTTP is over: all bytes pass both ways as they are, and each side ends for itself."""

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from flynn.router.connection import CLOSING, TUNNEL
from flynn.router.frames import GOING_AWAY, Frames, is_frame
from flynn.router.wire import Wire

if TYPE_CHECKING:
    from flynn.router.backend import Backend
    from flynn.router.exchange import Exchange


KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence after which TCP asks whether the peer is still there (by itself it would after two hours), seconds
between two questions, and how many without an answer are the end. By their names: not all systems have all."""


class Side(asyncio.Protocol):
    """One side of a tunnel, in place of its connection's own protocol: what comes here goes out on the `other` side.

    Very many tunnels may be open, and each of their messages finds the caches of the processor cold: so this is small,
    and all of it that a message touches. What happens but once, `own` knows how to take.
    """

    __slots__ = ("fd", "other", "own", "stirred")

    def __init__(self, own: Wire, other: Wire) -> None:
        self.own, self.other = own, other
        self.fd = other.free()
        """The other side's socket, as long as it is open and takes all that comes; else -1.

        A transport closes its socket only after it has called `connection_lost`: until then the number is no other's.
        """
        self.stirred = True
        """Whether a byte came since the last look."""

    def data_received(self, data: bytes) -> None:
        self.stirred = True
        if self.fd < 0:
            self._hand_over(data)
            return
        try:
            sent = os.write(self.fd, data)
        except OSError:
            sent = 0
        if sent != len(data):
            self._hand_over(data[sent:])

    def _hand_over(self, data: bytes) -> None:
        """Leave it to the transport, until that has nothing to send any more."""
        self.other.send(data)
        self.fd = self.other.free()

    def eof_received(self) -> bool | None:
        return self.own.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        if (facing := self.facing()) is not None:
            facing.fd = -1
        self.own.connection_lost(error)

    def facing(self) -> "Side | None":
        """The side that sends what comes there to this one's peer, if it is one still."""
        found = self.other.transport.get_protocol()
        return found if isinstance(found, Side) else None

    def pause_writing(self) -> None:
        self.own.pause_writing()

    def resume_writing(self) -> None:
        self.own.resume_writing()


class FromServer(Side):
    """The app's side of a WebSocket: it knows where a frame may be added for the client."""

    __slots__ = ("cut",)

    def __init__(self, own: Wire, other: Wire, sent: bytes) -> None:
        """`sent`: what came before, and was passed on."""
        super().__init__(own, other)
        self.cut: Frames | None = None
        """Within a frame: where it goes on."""
        self._follow(sent)

    def data_received(self, data: bytes) -> None:
        if self.cut is not None or not is_frame(data):
            self._follow(data)
        Side.data_received(self, data)

    def _follow(self, data: bytes) -> None:
        cut = self.cut or Frames()
        cut.feed(data)
        self.cut = None if cut.between else cut


def begin(client: "Exchange", protocol: bytes, sent: bytes) -> None:
    """The answer that agrees to `protocol` was sent, and `sent` after it.

    A peer that vanishes is noticed by TCP's own keep-alive.
    """
    backend = client.backend
    assert backend is not None
    client.state = TUNNEL
    client.proxy.talking.discard(client)
    client.leave = 0.0
    framed = protocol.lower() == b"websocket"
    backend.transport.set_protocol(FromServer(backend, client, sent) if framed else Side(backend, client))
    client.transport.set_protocol(Side(client, backend))
    for transport in (client.transport, backend.transport):
        if (sock := transport.get_extra_info("socket")) is not None:
            _keep_alive(sock)
    if client.buffer:
        backend.send(client.buffer)
        client.buffer = b""
    if client.halves:
        backend.end()
    if not backend.choked:
        client.let_go()


def client_ends(client: "Exchange") -> bool:
    """The client will send no more; whether its connection stays open."""
    backend = client.backend
    assert backend is not None
    client.halves += 1
    if client.halves < 2:
        backend.end()
        return True
    client.backend, backend.client = None, None
    client.state = CLOSING
    _close(client, backend)
    return False


def app_ends(client: "Exchange") -> bool:
    """The app will send no more; whether its connection stays open."""
    client.halves += 1
    if client.halves < 2:
        client.end()
        return True
    client.close()
    return False


def app_lost(client: "Exchange", error: Exception | None) -> None:
    """The app's connection is gone."""
    if client.backend is not None:
        client.backend.client = None
    if error is None:
        client.close()
    else:
        client.reset()


def is_leaving(client: "Exchange") -> bool:
    """Whether there is no use in it any more: its route is gone, or its instance gets ready to stop."""
    place, target = client.place, client.target
    assert place is not None
    assert target is not None
    return target.instance.draining or place.route.id not in client.proxy.registry.places


def look(client: "Exchange", now: float) -> None:
    """Take it down in `client.stirred` if a byte came since the last look, from either side."""
    backend = client.backend
    for wire in (client, backend) if backend is not None else (client,):
        side = wire.transport.get_protocol()
        if isinstance(side, Side) and side.stirred:
            side.stirred = False
            client.stirred = now


def go_away(client: "Exchange") -> None:
    """End a tunnel from our side: a WebSocket by a close frame, where one can be added; then as if the app ended it."""
    backend = client.backend
    assert backend is not None
    side = backend.transport.get_protocol()
    if isinstance(side, FromServer) and side.cut is None and not client.halves:
        client.send(GOING_AWAY)
    client.backend, backend.client = None, None
    _close(client, backend)
    client.transport.set_protocol(client)
    client.proxy.talking.add(client)
    client.stirred = client.proxy.clock()
    client.ended(client.status)
    client.linger()


def _close(client: "Exchange", backend: "Backend") -> None:
    """Let go of the app, which may take what was sent for as long as it may be silent, and no longer."""
    backend.transport.close()
    if backend.transport.get_write_buffer_size():
        client.proxy.loop.call_later(client.proxy.limits.idle_timeout, backend.transport.abort)


def _keep_alive(sock: socket.socket) -> None:
    """Have TCP notice a peer that vanishes."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

"""After an upgrade HTTP is over: all bytes pass both ways as they are, and each side ends for itself."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from flynn.router.connection import CLOSING, TUNNEL
from flynn.router.frames import GOING_AWAY, Frames
from flynn.router.wire import Wire

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange


KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence after which TCP asks whether the peer is still there (by itself it would after two hours), seconds
between two questions, and how many without an answer are the end. By their names: not all systems have all."""


class Side(Wire):
    """One side of a tunnel, in place of its connection's own protocol: what comes here goes out on the other side.

    Very many tunnels may be open, and each of their messages finds the caches of the processor cold: so this is small,
    and all that a message touches. What happens but once, `own` knows how to take.
    """

    __slots__ = ("clock", "own", "stirred")

    def __init__(self, own: Wire, other: Wire, clock: Callable[[], float]) -> None:
        super().__init__()
        self.own, self.clock = own, clock
        self.transport, self.fd = other.transport, other.fd
        self.stirred = clock()
        """When a byte came last."""

    def data_received(self, data: bytes) -> None:
        self.stirred = self.clock()
        self.send(data)

    def eof_received(self) -> bool | None:
        return self.own.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self.own.connection_lost(error)

    def pause_writing(self) -> None:
        self.own.pause_writing()

    def resume_writing(self) -> None:
        self.own.resume_writing()


class FromServer(Side):
    """The app's side of a WebSocket: it knows where a frame may be added for the client."""

    __slots__ = ("frames",)

    def __init__(self, own: Wire, other: Wire, clock: Callable[[], float]) -> None:
        super().__init__(own, other, clock)
        self.frames = Frames()

    def data_received(self, data: bytes) -> None:
        self.frames.feed(data)
        self.stirred = self.clock()
        self.send(data)


def begin(client: "Exchange", protocol: bytes, sent: bytes) -> None:
    """The answer that agrees to `protocol` was sent, and `sent` after it.

    A peer that vanishes is noticed by TCP's own keep-alive.
    """
    backend = client.backend
    assert backend is not None
    client.state = TUNNEL
    client.leave = 0.0
    clock = client.proxy.clock
    if protocol.lower() == b"websocket":
        side = FromServer(backend, client, clock)
        side.frames.feed(sent)
        backend.transport.set_protocol(side)
    else:
        backend.transport.set_protocol(Side(backend, client, clock))
    client.transport.set_protocol(Side(client, backend, clock))
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
    backend.transport.close()
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


def stirred(client: "Exchange") -> float:
    """When a byte came last, from either side."""
    backend = client.backend
    ends = (client.transport, backend.transport if backend is not None else client.transport)
    sides = (end.get_protocol() for end in ends)
    return max(client.stirred, *(side.stirred for side in sides if isinstance(side, Side)))


def go_away(client: "Exchange") -> None:
    """End a tunnel from our side: a WebSocket by a close frame, where one can be added; then as if the app ended it."""
    backend = client.backend
    assert backend is not None
    side = backend.transport.get_protocol()
    if isinstance(side, FromServer) and side.frames.between and not client.halves:
        client.send(GOING_AWAY)
    client.backend, backend.client = None, None
    backend.transport.close()
    client.transport.set_protocol(client)
    client.stirred = client.proxy.clock()
    client.ended(client.status)
    client.linger()


def _keep_alive(sock: socket.socket) -> None:
    """Have TCP notice a peer that vanishes."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

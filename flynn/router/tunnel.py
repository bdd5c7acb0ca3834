"""After an upgrade HTTP is over: all bytes pass both ways as they are, and each side ends for itself."""

import asyncio
import socket
from typing import TYPE_CHECKING

from flynn.router.connection import CLOSING, TUNNEL
from flynn.router.frames import GOING_AWAY, Frames

if TYPE_CHECKING:
    from flynn.router.backend import Backend
    from flynn.router.exchange import Exchange


KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence after which TCP asks whether the peer is still there (by itself it would after two hours), seconds
between two questions, and how many without an answer are the end. By their names: not all systems have all."""


class WebSocket(asyncio.Protocol):
    """The app's side of a WebSocket, in place of `backend`: it knows where a frame may be added for the client."""

    __slots__ = ("backend", "client", "frames")

    def __init__(self, backend: "Backend", client: "Exchange") -> None:
        self.backend, self.client, self.frames = backend, client, Frames()

    def data_received(self, data: bytes) -> None:
        client = self.client
        client.stirred = client.proxy.clock()
        self.frames.feed(data)
        client.send(data)

    def eof_received(self) -> bool:
        return self.backend.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self.backend.connection_lost(error)

    def pause_writing(self) -> None:
        self.backend.pause_writing()

    def resume_writing(self) -> None:
        self.backend.resume_writing()


def begin(client: "Exchange", protocol: bytes, sent: bytes) -> None:
    """The answer that agrees to `protocol` was sent, and `sent` after it.

    A peer that vanishes is noticed by TCP's own keep-alive.
    """
    backend = client.backend
    assert backend is not None
    client.state = TUNNEL
    client.halves = 0
    client.leave = 0.0
    if protocol.lower() == b"websocket":
        side = WebSocket(backend, client)
        side.frames.feed(sent)
        backend.transport.set_protocol(side)
    for transport in (client.transport, backend.transport):
        if (sock := transport.get_extra_info("socket")) is not None:
            _keep_alive(sock)
    if client.buffer:
        backend.send(client.buffer)
        client.buffer = b""
    if not backend.choked:
        client.let_go()


def client_ends(client: "Exchange") -> bool:
    """The client will send no more; whether its connection stays open."""
    backend = client.backend
    assert backend is not None
    client.halves += 1
    if client.halves < 2:
        backend.transport.write_eof()
        return True
    client.backend, backend.client = None, None
    client.state = CLOSING
    backend.transport.close()
    return False


def app_ends(client: "Exchange") -> bool:
    """The app will send no more; whether its connection stays open."""
    client.halves += 1
    if client.halves < 2:
        client.transport.write_eof()
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


def go_away(client: "Exchange") -> None:
    """End a tunnel from our side: a WebSocket by a close frame, where one can be added; then as if the app ended it."""
    backend = client.backend
    assert backend is not None
    side = backend.transport.get_protocol()
    if isinstance(side, WebSocket) and side.frames.between and not client.halves:
        client.send(GOING_AWAY)
    client.backend, backend.client = None, None
    backend.transport.close()
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

"""After an upgrade HTTP is over: all bytes pass both ways as they are, and each side ends for itself."""

import socket
from typing import TYPE_CHECKING

from flynn.router.connection import CLOSING, TUNNEL

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange


def begin(client: "Exchange") -> None:
    """The answer that agrees was sent. A peer that vanishes is noticed by TCP's own keep-alive."""
    backend = client.backend
    assert backend is not None
    client.state = TUNNEL
    client.halves = 0
    for transport in (client.transport, backend.transport):
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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

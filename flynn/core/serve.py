"""The node API's sockets: they listen while a daemon serves, and in a hand-over until the next one does."""

import asyncio
import functools
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from flynn.core.errors import StartError
from flynn.core.estate import Estate
from flynn.core.keepalive import keep_alive
from flynn.core.ports import port_problem
from flynn.core.web import Web
from flynn.core.web.protocol import Connection

log = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that may wait to be accepted, as in a hand-over."""


@asynccontextmanager
async def serve(server: Web, address: str, port: int, estate: Estate | None = None) -> AsyncIterator[None]:
    """The node API on its address; in a hand-over its socket stays open. StartError: the port is taken."""
    estate = estate or Estate()
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=2, handler_cancellation=True)
    await runner.setup()
    listeners: list[socket.socket] = []
    serving: list[asyncio.Server] = []
    try:
        try:
            for family, _, _, _, where in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM):
                name = f"node API {where[0]} {port}"
                listeners.append(estate.opened(name, functools.partial(_listener, family, where)))
                serving.append(await _accepting(runner, listeners[-1].dup()))
        except OSError as error:
            raise StartError(port_problem("node API", address, port, error, "--port")) from None
        yield
    finally:
        for each in serving:
            each.close()
        await runner.cleanup()
        if not estate.handing:
            estate.close(*listeners)


async def _accepting(runner: web.AppRunner, sock: socket.socket) -> asyncio.Server:
    """Begin to accept. Bodies stay as they were sent: the node API takes none that are compressed."""
    loop, manager = asyncio.get_running_loop(), runner.server
    assert manager is not None
    options: dict[str, Any] = {"access_log": None, "logger": log, "auto_decompress": False}

    def accepted() -> Connection:
        return Connection(manager, loop=loop, **options)

    return await loop.create_server(accepted, sock=sock, backlog=BACKLOG)


def _listener(family: int, where: Any) -> socket.socket:
    """A socket on an address. It listens at once, so that a port that another listens on is seen."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        keep_alive(sock)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock

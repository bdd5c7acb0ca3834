"""The sockets that the router listens on."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from flynn.core.errors import StartError
from flynn.core.estate import Estate
from flynn.core.ports import port_problem

BACKLOG = 4096

MISSING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What a machine without IPv6 answers."""


def open_sockets(bind: str, port: int, estate: Estate | None = None, share: bool = False) -> list[socket.socket]:
    """Sockets for the router's port, as `bound` makes them. StartError: the port is taken."""
    try:
        return bound(bind, port, estate, share)
    except OSError as error:
        raise StartError(port_problem("router", bind, port, error, "--http-port")) from None


def bound(bind: str, port: int, estate: Estate | None = None, share: bool = False) -> list[socket.socket]:
    """Sockets for `bind` (empty: all addresses, v4 and v6 where there is v6), to be closed by `estate` if it is given.

    With `share` other processes of the same user may have the port too, if they all say so. OSError: it is taken.
    """
    estate = estate or Estate()
    opened: list[socket.socket] = []
    try:
        if bind:
            family = socket.AF_INET6 if ":" in bind else socket.AF_INET
            opened.append(_opened(estate, family, bind, port, share))
        else:
            opened.append(_opened(estate, socket.AF_INET, "0.0.0.0", port, share))
            port = opened[0].getsockname()[1]
            opened += _also_v6(estate, port, share)
    except OSError:
        estate.close(*opened)
        raise
    return opened


def close(sockets: list[socket.socket]) -> None:
    """Close all."""
    for sock in sockets:
        sock.close()


def _also_v6(estate: Estate, port: int, share: bool) -> list[socket.socket]:
    try:
        return [_opened(estate, socket.AF_INET6, "::", port, share)]
    except OSError as error:
        if error.errno not in MISSING:
            raise
        return []


def _opened(estate: Estate, family: socket.AddressFamily, address: str, port: int, share: bool) -> socket.socket:
    return estate.opened(f"router {address} {port}", lambda: _socket(family, address, port, share))


def _socket(family: socket.AddressFamily, address: str, port: int, share: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


async def accepting(protocol: Callable[[], asyncio.Protocol], sockets: list[socket.socket]) -> list[asyncio.Server]:
    """Accept connections on these sockets, until the servers are closed; the sockets stay open. OSError."""
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for sock in sockets:
            sock.listen(BACKLOG)  # here it fails if somebody was faster, and not where a duplicate would be lost
            servers.append(await loop.create_server(protocol, sock=sock.dup(), backlog=BACKLOG))
    except BaseException:
        for server in servers:
            server.close()
        raise
    return servers


@asynccontextmanager
async def listening(protocol: Callable[[], asyncio.Protocol], sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Accept connections for the length of a block, then close the sockets; connections live on after it."""
    servers: list[asyncio.Server] = []
    try:
        servers = await accepting(protocol, sockets)
        yield
    finally:
        for server in servers:
            server.close()
        for sock in sockets:
            sock.close()

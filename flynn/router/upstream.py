"""A request's head as the app gets it: what the client sent, less what is between it and us, and what we know."""

import os
from binascii import hexlify
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address

from flynn.router.head import Request

Networks = tuple[IPv4Network | IPv6Network, ...]


def is_trusted(address: str, networks: Networks) -> bool:
    """Whether what this peer says of those behind it is believed."""
    if not networks:
        return False
    peer = ip_address(address.partition("%")[0])
    return any(peer in network for network in networks)


def marks(address: str, port: int) -> bytes:
    """The fields that are the same for all requests of a connection, up to the value of X-Forwarded-Host."""
    return (
        f"\nX-Forwarded-For: {address}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: {port}\r\nX-Forwarded-Host: "
    ).encode()


def relayed_marks(request: Request, address: str, port: int) -> bytes:
    """As `marks`, for a request that a trusted proxy passed on: what it says is kept, its own address is added."""
    told = dict(request.forwarded)
    before = told.get(b"x-forwarded-for", b"")
    peer = address.encode()
    values = (
        (b"X-Forwarded-For", before + b", " + peer if before else peer),
        (b"X-Forwarded-Proto", told.get(b"x-forwarded-proto") or b"http"),
        (b"X-Forwarded-Port", told.get(b"x-forwarded-port") or b"%d" % port),
        (b"Forwarded", told.get(b"forwarded", b"")),
    )
    fields = b"".join(b"\n%b: %b\r" % (name, value) for name, value in values if value)
    host = told.get(b"x-forwarded-host")
    return fields + (b"\nX-Forwarded-Host: %b, " % host if host else b"\nX-Forwarded-Host: ")


def prefix(request: Request, marks: bytes) -> bytes:
    """The head up to the value of X-Request-Id: the same each time that the client sends this head."""
    end = b"\r\n"
    if request.upgrade:
        end = b"\r\nConnection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade
    return b"%b%b%b%b%bX-Request-Id: " % (request.line, request.kept, marks, request.host, end)


def suffix(start: int) -> bytes:
    """What follows the id, to the empty line. `start` is when the request came, in ms since the epoch."""
    return b"\r\nX-Request-Start: %d\r\n\r\n" % start


def ids(lot: int = 256) -> Iterator[bytes]:
    """Request ids without end, 32 hexadecimal digits each; the kernel is asked for a lot of them at once."""
    while True:
        digits = hexlify(os.urandom(16 * lot))
        for at in range(0, 32 * lot, 32):
            yield digits[at : at + 32]

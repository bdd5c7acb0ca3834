"""HTTP as the programs here need it: a GET over TCP or a UNIX socket, and the raw bytes of what comes back.

The chunks' sizes are left in: what is counted in these bytes is never part of them.
"""

import socket

LIMIT = 120.0
"""Seconds of silence after which it is given up."""


def get(
    place: str, path: str, token: str = "", accept: str = "*/*", sign: bytes = b"", buffer: int = 0
) -> socket.socket:
    """Ask at `HOST:PORT` or a path of a UNIX socket; the connection, where the body begins. OSError: no 200.

    `sign`: go on in the body until this was read. `buffer`: bytes that the kernel may hold, if not as many as it likes.
    """
    host, _, port = place.rpartition(":")
    family, address = (socket.AF_INET, (host, int(port))) if host else (socket.AF_UNIX, place)
    asking = socket.socket(family)
    asking.settimeout(LIMIT)
    if buffer:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    asking.connect(address)
    told = f"Authorization: Bearer {token}\r\n" if token else ""
    asking.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n{told}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = asking.recv(1)
        if not byte:
            raise OSError(f"{place} ended after {head!r}")
        head += byte
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(f"{place} answers {head[:200]!r}")
    while sign and sign not in head:
        if not (byte := asking.recv(1)):
            raise OSError(f"{place} ended without {sign!r}")
        head += byte
    return asking

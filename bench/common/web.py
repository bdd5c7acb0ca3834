"""Small HTTP clients for what is no load: one question, one answer."""

import socket
from collections.abc import Mapping

import aiohttp

from bench.common.errors import NotMeasured

LIMIT = 10.0
"""Seconds within which a proxy must answer."""


async def ask(url: str, token: str = "") -> bytes:
    """The body of a 200. NotMeasured."""
    headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT)) as session:
            async with session.get(url, headers=headers) as response:
                body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotMeasured(f"{url} does not answer: {error!r}") from None
    if response.status != 200:
        raise NotMeasured(f"{url} answers {response.status}: {body[:200].decode(errors='replace')}")
    return body


class Poller:
    """Asks for the same again and again on one connection, blocking: the least time to see a change."""

    def __init__(self, port: int, host: str, path: str = "/") -> None:
        self.port = port
        self.request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.sock: socket.socket | None = None
        self.last = b""
        """The last whole answer, head and body."""

    def status(self) -> int:
        """The status of one answer; 0: the connection was refused, or ended without one."""
        try:
            return self._status()
        except OSError:
            self.close()
            return 0

    def _status(self) -> int:
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), LIMIT)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(self.request)
        data = b""
        while not (whole := complete(data)):
            more = self.sock.recv(65536)
            if not more:
                self.close()
                return 0
            data += more
        if b"\r\nconnection: close" in data.lower():
            self.close()
        self.last = data
        return whole

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def complete(data: bytes) -> int:
    """The status of an answer with a Content-Length once it is all here, or 0."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(head[9:12]) if len(body) >= int(value) else 0
    chunked = b"transfer-encoding: chunked" in head.lower()
    return int(head[9:12]) if not chunked or body.endswith(b"0\r\n\r\n") else 0

"""Requests by which others have smuggled: what two readers take for two different things. Our own list.

Each stands alone on a connection, with honest requests after it. `evil` is what must never arrive.
"""

from dataclasses import dataclass

REFUSED = (400,)
PASSED = (200, 200)
"""The request itself, and the honest one after it."""

EVIL = b"GET /evil HTTP/1.1\r\nHost: app.test\r\n\r\n"
HOST = b"Host: app.test\r\n"


@dataclass(frozen=True)
class Hostile:
    """What is sent, and the statuses that come back until the connection ends, or until the honest request after it."""

    name: str
    data: bytes
    says: tuple[int, ...] = REFUSED

    @property
    def lives(self) -> bool:
        """Whether the connection goes on after it."""
        return len(self.says) > 1 and self.says[-1] == 200


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /post HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def get(fields: bytes = b"", line: bytes = b"GET /get HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


def counted(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


LAST = b"0\r\n\r\n"

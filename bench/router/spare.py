"""An app that comes and goes while requests are under way: in this process, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"


class Spare:
    """`answered` counts its requests."""

    port = 0

    def __init__(self) -> None:
        self.answered = 0
        self.transports: set[asyncio.Transport] = set()


class _Connection(asyncio.Protocol):
    """Requests without bodies, each answered at once."""

    transport: asyncio.Transport

    def __init__(self, spare: Spare) -> None:
        self.spare = spare
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.spare.transports.add(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        count = self.buffer.count(b"\r\n\r\n")
        if count:
            self.buffer = self.buffer.rpartition(b"\r\n\r\n")[2]
            self.spare.answered += count
            self.transport.write(ANSWER * count)

    def connection_lost(self, error: Exception | None) -> None:
        self.spare.transports.discard(self.transport)


@asynccontextmanager
async def open_spare() -> AsyncIterator[Spare]:
    """A spare for the length of a block. At its end it is gone at once, as a process that is killed: what was under
    way is broken off."""
    spare = Spare()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(spare), "127.0.0.1", 0, backlog=1024)
    spare.port = server.sockets[0].getsockname()[1]
    try:
        yield spare
    finally:
        server.close()
        for transport in tuple(spare.transports):
            transport.abort()

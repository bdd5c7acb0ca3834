"""Clients that forgive nothing: each asks again and again on its connection, and never asks anything twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LIMIT = 20.0
"""Seconds that one answer may take."""


@dataclass(eq=False)
class Strict:
    """Load on `port` for a host. `failures`: whatever was not a whole answer with the status 200."""

    port: int
    host: str
    clients: int = 8
    pause: float = 0.005
    once: bool = False
    """Each request is the only one of its connection."""

    count: int = 0
    closed: int = 0
    """Answers that said `Connection: close`."""

    opened: int = 0
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Strict"]:
        """Load for the length of a block; every request begun in it is waited for."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.clients):
                tasks.create_task(self._client(stop), name=f"client {number}")
            try:
                yield self
            finally:
                stop.set()

    async def _client(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._connection(stop)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                await asyncio.sleep(0.01)

    async def _connection(self, stop: asyncio.Event) -> None:
        """One connection, until it is told to close. An end that comes without such a word is a failure."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened += 1
        try:
            while not stop.is_set():
                last = "Connection: close\r\n" if self.once else ""
                writer.write(f"GET / HTTP/1.1\r\nHost: {self.host}\r\n{last}\r\n".encode())
                async with asyncio.timeout(LIMIT):
                    head = await reader.readuntil(b"\r\n\r\n")
                    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(size)
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.failures.append(f"{head!r} {body[:200]!r}")
                self.count += 1
                if b"\r\nconnection: close\r\n" in head.lower():
                    self.closed += 1
                    return
                if self.once:
                    return
                await asyncio.sleep(self.pause)
        finally:
            writer.close()

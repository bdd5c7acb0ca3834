"""Clients that keep their connections and ask an app through the router, again and again. What fails is counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LIMIT = 10.0
"""Seconds in which an answer must be whole."""


@dataclass(eq=False)
class Clients:
    """`count` of them ask `domain` at `port`, each with one request at a time. A connection that the router has said
    that it closes is no failure; one that ends without a word is."""

    port: int
    domain: str
    count: int
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Clients"]:
        """For the length of a block; what was asked in it is waited for."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.count):
                tasks.create_task(self._ask_on(stop), name=f"client {number}")
            try:
                yield self
            finally:
                stop.set()

    async def _ask_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with asyncio.timeout(LIMIT):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    await self._talk(reader, writer, stop)
                finally:
                    writer.close()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.failures.append(repr(error))
                await asyncio.sleep(0.05)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stop: asyncio.Event) -> None:
        """Until the router says that it closes. EOFError, TimeoutError, ValueError: an answer is not whole, or none."""
        request = f"GET / HTTP/1.1\r\nHost: {self.domain}\r\n\r\n".encode()
        while not stop.is_set():
            async with asyncio.timeout(LIMIT):
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                status = head.split(" ", 2)[1]
                length = int(head.partition("\r\ncontent-length:")[2].partition("\r\n")[0])
                body = await reader.readexactly(length)
            self.answers[body.decode()] += 1
            if status != "200":
                self.failures.append(f"{status} {body[:200].decode('latin-1')}")
            if "\r\nconnection: close" in head:
                return

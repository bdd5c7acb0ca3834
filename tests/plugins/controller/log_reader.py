"""Those who follow a log over a connection of their own, which they may leave full."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

from tests.harness import TOKEN

MIB = 1 << 20


class Follower:
    """A connection that follows; it takes nothing until it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def lines(self) -> AsyncIterator[str]:
        """Each line's text. The chunks of the answer end where lines do."""
        async for raw in self.reader:
            if raw.startswith(b"{") and (told := json.loads(raw))["kind"] == "log":
                yield told["line"]

    async def live(self) -> "Follower":
        """It has had the past: from now on it is to get each line that comes."""
        async with asyncio.timeout(20):
            while b'"position"' not in await self.reader.readline():
                pass
        return self

    async def until(self, last: str) -> list[str]:
        found = []
        async with asyncio.timeout(20):
            async for line in self.lines():
                found.append(line)
                if line == last:
                    return found
        raise AssertionError("the stream ended")


async def follow(port: int, path: str, size: int = 0) -> Follower:
    """One who has had the head of the answer. `size`: bytes that the kernel holds for it, about."""
    sock = socket.socket()
    if size:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    sock.connect(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=MIB)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    async with asyncio.timeout(20):
        while await reader.readline() != b"\r\n":
            pass
    return Follower(reader, writer)

"""`messages_clients PORT HOST COUNT`: so many open WebSockets. Told `SECONDS`, each sends a message a second so long.

It prints `open N`, and after each run `echoed SENT ECHOED OPEN`: of this run, and how many are open still.
"""

import asyncio
import sys
from typing import cast

import uvloop

from bench.router.load.frames import ECHO, FRAME, whole

AT_ONCE = 100
"""Handshakes under way at the same time."""

TICK = 0.002
"""Seconds between two times that messages are sent, by the sockets whose turn it is."""

PATIENCE = 5.0
"""Seconds that the last messages may take to come back."""


class Client(asyncio.Protocol):
    """One WebSocket."""

    transport: asyncio.Transport

    def __init__(self, hello: bytes) -> None:
        self.hello = hello
        self.buffer = b""
        self.echoed = 0
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.hello)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.open:
            count, self.buffer = whole(self.buffer, ECHO)
            self.echoed += count
        elif b"\r\n\r\n" in self.buffer:
            self.open = self.buffer.startswith(b"HTTP/1.1 101 ")
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if self.open:
                self.agreed.set_result(None)
            else:
                self.agreed.set_exception(ConnectionError(f"answered {head[:60]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if not self.agreed.done():
            self.agreed.set_exception(ConnectionError(f"ended: {error}"))


async def connect(port: int, host: str, count: int) -> list[Client]:
    """The sockets, all open. ConnectionError."""
    hello = (
        f"GET /messages HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    turns, loop = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()

    async def one() -> Client:
        async with turns:
            _, client = await loop.create_connection(lambda: Client(hello), "127.0.0.1", port)
            await client.agreed
            return client

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def send(clients: list[Client], seconds: float) -> int:
    """A message a second from each, evenly spread, and wait for them to come back; how many were sent."""
    loop = asyncio.get_running_loop()
    begun, sent, total = loop.time(), 0, round(len(clients) * seconds)
    before = sum(client.echoed for client in clients)
    while sent < total:
        due = min(total, int((loop.time() - begun) * len(clients)))
        for number in range(sent, due):
            clients[number % len(clients)].transport.write(FRAME)
        sent = due
        await asyncio.sleep(TICK)
    late = loop.time() + PATIENCE
    while sum(client.echoed for client in clients) - before < sent and loop.time() < late:
        await asyncio.sleep(0.01)
    return sent


async def main(port: int, host: str, count: int) -> None:
    clients = await connect(port, host, count)
    print(f"open {len(clients)}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        before = sum(client.echoed for client in clients)
        sent = await send(clients, float(line))
        echoed = sum(client.echoed for client in clients) - before
        print(f"echoed {sent} {echoed} {sum(client.open for client in clients)}", flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

"""`slow_app DELAY WIDTH PORT...`: an app on each port takes DELAY seconds for an answer, the last ten times as long.

WIDTH is how many requests an app works on at the same time, 0: any number.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
COUNT = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d\n"

SLOWER = 10


class App:
    """One app: what it works on, and what waits for it."""

    requests = 0
    """Of all apps."""

    def __init__(self, delay: float, width: int) -> None:
        self.delay = delay
        self.width = width
        self.at_work = 0
        self.waiting: deque[asyncio.Transport] = deque()

    def take(self, transport: asyncio.Transport) -> None:
        App.requests += 1
        self.waiting.append(transport)
        self._work()

    def _work(self) -> None:
        while self.waiting and (not self.width or self.at_work < self.width):
            transport = self.waiting.popleft()
            if not transport.is_closing():
                self.at_work += 1
                asyncio.get_running_loop().call_later(self.delay, self._answer, transport)

    def _answer(self, transport: asyncio.Transport) -> None:
        self.at_work -= 1
        transport.write(ANSWER)
        self._work()


class Connection(asyncio.Protocol):
    """`GET /count` tells how many requests came to all apps; it is not one of them."""

    transport: asyncio.Transport

    def __init__(self, app: App) -> None:
        self.app = app
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if head.startswith(b"GET /count "):
                self.transport.write(COUNT % App.requests)
                self.transport.close()
            else:
                self.app.take(self.transport)


async def main(delay: float, width: int, ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        app = App(delay * SLOWER if port == ports[-1] else delay, width)
        await loop.create_server(lambda app=app: Connection(app), "127.0.0.1", port, backlog=1024)  # type: ignore[misc]
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:]]))

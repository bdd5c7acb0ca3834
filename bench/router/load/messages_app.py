"""`messages_app PORT`: WebSockets that send each message back. It knows only what `messages_clients` sends."""

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

import uvloop

from bench.router.load.frames import FRAME, echo, whole

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class App(asyncio.Protocol):
    """A connection: a handshake (RFC 6455 section 4.2), then messages."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        if not self.open:
            if b"\r\n\r\n" not in data:
                self.buffer = data
                return
            head, _, data = data.partition(b"\r\n\r\n")
            answer = accept(head)
            self.open = answer.startswith(b"HTTP/1.1 101 ")
            self.transport.write(answer)
        count, self.buffer = whole(data, FRAME)
        if count:
            self.transport.write(echo(count))


def accept(head: bytes) -> bytes:
    """The answer to a request that asks for a WebSocket; to another one, a short 200."""
    key = re.search(rb"\r\n(?i:sec-websocket-key): *([^\r]*)", head)
    if not key:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    digest = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
    fields = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + digest
    return b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n\r\n"


async def main(port: int) -> None:
    await asyncio.get_running_loop().create_server(App, "127.0.0.1", port, backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

"""A WebSocket app that sends each message back. What it does hangs on the bytes alone, not on how they are cut: it
takes them one by one, so an error never overtakes the message before it. With `whole`, it takes them as they come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol


class Echo(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, whole: bool) -> None:
        self.whole = whole
        self.server = ServerProtocol(max_size=None)
        self.kind: Opcode | None = None
        """Of the message under way."""
        self.parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for piece in [data] if self.whole else [data[n : n + 1] for n in range(len(data))]:
            self.server.receive_data(piece)
            for event in self.server.events_received():
                self._answer(event)
            self._send()

    def eof_received(self) -> bool:
        self.server.receive_eof()
        self._send()
        return False

    def _answer(self, event: Request | object) -> None:
        if isinstance(event, Request):
            self.server.send_response(self.server.accept(event))
        elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                self.kind = event.opcode
            self.parts.append(bytes(event.data))
            if event.fin:
                self._echo()

    def _echo(self) -> None:
        data = b"".join(self.parts)
        self.parts.clear()
        if self.kind is Opcode.TEXT:
            try:
                data.decode()
            except UnicodeDecodeError:
                self.server.fail(1007, "invalid UTF-8")
                return
            self.server.send_text(data)
        else:
            self.server.send_binary(data)

    def _send(self) -> None:
        for data in self.server.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.write_eof()
        if self.server.close_expected():
            self.transport.close()


@asynccontextmanager
async def echoing(whole: bool) -> AsyncIterator[int]:
    """The app, for the length of a block; its port."""
    server = await asyncio.get_running_loop().create_server(lambda: Echo(whole), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]

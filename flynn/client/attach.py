"""The standard streams of a one-off job, or of a command beside a job, over a WebSocket (docs/api.md, Attach)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import msgspec

from flynn.client.wire import Wire
from flynn.core.errors import Conflict, FlynnError, NotFound, Unavailable
from flynn.core.keepalive import keep_alive

T = TypeVar("T")

OPEN = 75.0
"""Seconds until the job is attached: it is dropped from its queue after 60."""

FRAME_LIMIT = 16 * 1024 * 1024

WINDOW = 1024 * 1024
"""Bytes of input that may be on their way; more would keep the host from hearing of a signal."""

BROKEN = "the connection to the job broke off; 'flynn ps --all' shows what became of it"


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that the process wrote to descriptor 1 or 2."""

    fd: int
    data: bytes


class Exit(msgspec.Struct, frozen=True):
    """How the job ended; without an exit code it never ran, and `reason` says why."""

    exit_code: int | None = None
    reason: str = ""


class _Taken(msgspec.Struct, frozen=True):
    """How many bytes of input the process has taken, or the host dropped."""

    taken: int = -1


class Attached:
    """The open connection. Standard input and signals are sent while output is read."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = self._taken = 0
        self._more = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """Bytes of standard input, at the pace of the process, while somebody reads `output`."""
        while self._sent - self._taken > WINDOW:
            self._more.clear()
            await self._more.wait()
        self._sent += len(data)
        await self._socket.send_bytes(data)

    async def order(self, command: str, terminal: tuple[int, int] | None = None) -> None:
        """Say what to run beside the job: the first that is sent there. `terminal`: on one of so many rows, columns."""
        told = {"exec": command} | ({"terminal": terminal} if terminal else {})
        await self._socket.send_str(msgspec.json.encode(told).decode())

    async def resize(self, size: tuple[int, int]) -> None:
        """Our terminal has so many rows and columns now."""
        await self._socket.send_str(msgspec.json.encode({"size": size}).decode())

    async def end_input(self) -> None:
        await self._socket.send_str('{"eof": true}')

    async def signal(self, number: int) -> None:
        await self._socket.send_str(f'{{"signal": {number}}}')

    async def output(self) -> AsyncIterator[Output | Exit]:
        """What the process writes, and at last its Exit. Unavailable: the connection ended before it."""
        while True:
            try:
                message = await self._socket.receive()
            except (aiohttp.ClientError, ConnectionError):
                raise Unavailable(BROKEN) from None
            if message.type == aiohttp.WSMsgType.BINARY and message.data:
                yield Output(message.data[0], message.data[1:])
            elif message.type == aiohttp.WSMsgType.TEXT:
                if (taken := _told(message.data, _Taken).taken) < 0:
                    yield _told(message.data, Exit)
                    return
                self._taken = taken
                self._more.set()
            elif message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                raise Unavailable(BROKEN)


def _told(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        raise Unavailable(f"the host ended the job with what this flynn cannot read: {text[:80]!r}") from None


@asynccontextmanager
async def open_attached(wire: Wire, path: str, heartbeat: float | None = None) -> AsyncIterator[Attached]:
    """Attach, which starts the job. There is no limit on how long it runs. `heartbeat`: seconds between two pings."""
    try:
        async with asyncio.timeout(OPEN):
            socket = await wire.session.ws_connect(wire.url + path, max_msg_size=FRAME_LIMIT, heartbeat=heartbeat)
    except aiohttp.WSServerHandshakeError as error:
        raise _refused(wire, error.status) from None
    except TimeoutError:
        raise Unavailable(f"{wire.url} did not attach the job within {OPEN:g} s; run it again") from None
    except (aiohttp.ClientError, ConnectionError) as error:
        raise Unavailable(f"{wire.url} cannot attach the job: {error}") from None
    async with socket:
        keep_alive(socket.get_extra_info("socket"))
        yield Attached(socket)


def _refused(wire: Wire, status: int) -> FlynnError:
    if status == 404:
        return NotFound("no such job runs here: it has ended, or was dropped; 'flynn ps' lists those that run")
    if status == 409:
        return Conflict("the job has a client already, or has ended; 'flynn ps --all' shows what became of it")
    return Unavailable(f"{wire.url} answered {status} instead of attaching the job; run it again")

"""What a client of a process says beside its input: the text frames (docs/api.md, "Attach")."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import WSMsgType, web

from flynn.plugins.host.attach.inbox import Inbox

T = TypeVar("T")


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text frame from the client: one of them. `size` is that of its terminal: rows and columns."""

    eof: bool = False
    signal: int = 0
    size: tuple[int, int] | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first frame of a client that wants a command run beside a job; `terminal`: on one of this size."""

    exec: str
    terminal: tuple[int, int] | None = None


def read(text: str | bytes, type: type[T]) -> T:
    """A frame as what it should be. ConnectionError: it is none; the connection ends as if the client had gone."""
    try:
        return msgspec.json.decode(text, type=type)
    except msgspec.DecodeError:
        raise ConnectionError("the client does not speak the protocol") from None


async def listen(
    socket: web.WebSocketResponse,
    inbox: Inbox,
    send: Callable[[int], Awaitable[None]],
    resize: Callable[[tuple[int, int]], None] = lambda size: None,
) -> None:
    """Hand on what the client sends, until it goes. `send`: a signal to the process; `resize`: its terminal."""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await inbox.put(message.data)
        elif message.type is WSMsgType.TEXT:
            command = read(message.data, Command)
            if command.eof:
                inbox.end()
            if command.signal in set(signal.Signals):
                await send(command.signal)
            if command.size:
                resize(command.size)

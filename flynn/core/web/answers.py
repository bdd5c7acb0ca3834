"""What handlers answer with: JSON, whole or line by line."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

SILENCE = 15.0
"""Seconds that who follows a stream may take nothing of what is sent."""


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer; msgspec structs are shown with all their fields."""
    return web.Response(
        body=msgspec.json.encode(plain(value)), status=status, headers=headers, content_type="application/json"
    )


def plain(value: Any) -> Any:
    """The value with structs as dicts of all their fields, also those that the store leaves out as defaults."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


async def lines(request: web.Request) -> web.StreamResponse:
    """An answer that will be sent as JSON lines, begun: send each with `send_line`."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    await response.prepare(request)
    return response


class Writer(Protocol):
    """Where lines go: an answer that was begun, or who shows them in another form."""

    async def write(self, data: bytes) -> None: ...


async def send_line(response: Writer, value: Any) -> None:
    """One more JSON line of an answer begun with `lines`."""
    await response.write(msgspec.json.encode(plain(value)) + b"\n")


async def write_soon(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """One more piece of a stream. ConnectionError: who follows it has gone, or takes nothing and was cut off."""
    try:
        async with asyncio.timeout(SILENCE):
            await response.write(piece)
    except TimeoutError:
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError(f"nothing was taken for {SILENCE:g} s") from None

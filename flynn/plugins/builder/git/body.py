"""The body of a request on its way to git: unpacked if it is packed, counted, never more than some pieces in memory."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import hdrs, web

from flynn.core.errors import Invalid, TooLarge
from flynn.core.room import words

CHUNK = 256 * 1024

SILENCE = 60.0
"""Seconds that a client may send nothing."""

PACKED = ("gzip", "x-gzip")

GZIP = 31
"""The window of zlib that stands for gzip (zlib manual, inflateInit2)."""


async def pieces(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """All of the body. TooLarge: it is over `limit` bytes, once unpacked. Invalid: it broke off, or is damaged."""
    unpack = zlib.decompressobj(GZIP) if request.headers.get(hdrs.CONTENT_ENCODING, "").lower() in PACKED else None
    size = 0
    while chunk := await _chunk(request):
        parts = _unpacked(unpack, chunk) if unpack else iter((chunk,))
        for part in parts:
            size += len(part)
            if size > limit:
                raise TooLarge(f"the push is over {words(limit)}, the most here (`builder.push_limit` sets that)")
            yield part
    if unpack and size and not unpack.eof:
        raise Invalid("the body is no whole gzip; send it again")


async def _chunk(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(SILENCE):
            return await request.content.read(CHUNK)
    except TimeoutError:
        raise Invalid(f"the push broke off: nothing came for {SILENCE:g} s; push again") from None
    except web.RequestPayloadError as error:
        raise ConnectionResetError(f"the client went away: {error}") from None


def _unpacked(unpack: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    try:
        while chunk:
            yield unpack.decompress(chunk, CHUNK)
            chunk = unpack.unconsumed_tail
    except zlib.error as error:
        raise Invalid(f"the body is no gzip: {error}") from None

"""The body of a request on its way to a file: counted, with a limit on its size and on each silence in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from flynn.core.errors import Full, Invalid, TooLarge

SILENCE = 60.0
"""Seconds that a client may send nothing."""

TOTAL = 3600.0
"""Seconds that a whole source may take: few are received at a time, and who is slow shall not keep others out."""

CHUNK = 256 * 1024


@asynccontextmanager
async def received(request: web.Request, folder: Path, limit: int, total: float = TOTAL) -> AsyncIterator[Path]:
    """The whole body in a file of `folder`, for the length of a block. TooLarge, Full; Invalid: it broke off, or took
    over `total` seconds."""
    if (request.content_length or 0) > limit:
        raise TooLarge(_over(limit))
    path = folder / uuid4().hex
    try:
        await _write(request, path, limit, asyncio.get_running_loop().time() + total)
        yield path
    finally:
        path.unlink(missing_ok=True)


async def _write(request: web.Request, path: Path, limit: int, deadline: float) -> None:
    size, now = 0, asyncio.get_running_loop().time
    try:
        with path.open("wb") as file:
            while True:
                async with asyncio.timeout_at(min(now() + SILENCE, deadline)):
                    chunk = await request.content.read(CHUNK)
                if not chunk:
                    return
                size += len(chunk)
                if size > limit:
                    raise TooLarge(_over(limit))
                await asyncio.to_thread(file.write, chunk)
    except TimeoutError:
        if now() >= deadline:
            raise Invalid(f"the body took too long: {size} bytes came; send less, or by a faster line") from None
        raise Invalid(f"the body broke off: nothing came for {SILENCE:g} s after {size} bytes; send it again") from None
    except web.RequestPayloadError as error:
        raise Invalid(f"the body broke off after {size} bytes: {error}; send it again") from None
    except ConnectionError:
        raise
    except OSError as error:
        raise Full(f"the source cannot be kept in {path.parent}: {error.strerror}") from None


def _over(limit: int) -> str:
    return f"the source is over {limit >> 20} MiB packed; leave out what the app does not need (.gitignore)"

"""How a brick takes blobs from the shelf and puts them there: by HTTP, found through discovery, digests checked."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import aiohttp

from flynn.core.errors import Full, Invalid, NotFound, TooLarge, Unavailable
from flynn.core.model import Artifact

if TYPE_CHECKING:
    from flynn.core.brick import Context

CHUNK = 256 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
"""No limit on a whole transfer, but one of 60 s on each silence in it."""


async def fetch(ctx: "Context", sha256: str, path: Path) -> None:
    """Write blob `sha256` to `path` (whole or not at all). NotFound, Invalid (digest), Full, Unavailable."""
    partial = path.with_name(path.name + ".part")
    seen = hashlib.sha256()
    try:
        async with ctx.http.get(f"{ctx.find('shelf')}/v1/blobs/{sha256}", timeout=TIMEOUT) as response:
            if response.status == 404:
                raise NotFound(f"blob {sha256[:12]} is not on the shelf; deploy the app again")
            if response.status != 200:
                raise Unavailable(f"the shelf answered {response.status} for blob {sha256[:12]}")
            with partial.open("wb") as file:
                async for chunk in response.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(_take, file, seen, chunk)
        if seen.hexdigest() != sha256:
            raise Invalid(f"blob {sha256[:12]} came damaged from the shelf (its digest is {seen.hexdigest()[:12]})")
        os.replace(partial, path)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the shelf broke off while blob {sha256[:12]} was read: {error}") from None
    except OSError as error:
        raise Full(f"blob {sha256[:12]} cannot be written to {path.parent}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


async def store(ctx: "Context", path: Path) -> Artifact:
    """Put the file at `path` on the shelf, unless it is there already. Full, TooLarge, Unavailable."""
    sha256, size = await asyncio.to_thread(digest, path)
    url = f"{ctx.find('shelf')}/v1/blobs/{sha256}"
    try:
        async with ctx.http.head(url, timeout=TIMEOUT) as response:
            if response.status == 200:
                return Artifact(sha256=sha256, size=size)
        with path.open("rb") as file:
            async with ctx.http.put(url, data=file, timeout=TIMEOUT) as response:
                if response.status not in (200, 201):
                    text = (await response.json()).get("message", "")
                    raise {413: TooLarge, 507: Full}.get(response.status, Unavailable)(text)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the shelf broke off while blob {sha256[:12]} was written: {error}") from None
    return Artifact(sha256=sha256, size=size)


def digest(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file, and its size in bytes. Blocks: call it in a thread."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _take(file: BinaryIO, seen: "hashlib._Hash", chunk: bytes) -> None:
    seen.update(chunk)
    file.write(chunk)

"""How a brick takes blobs from the shelf and puts them there: found through discovery, digests checked; by HTTP, but
for the shelf of its own daemon, which is given files, and gives them."""

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import aiohttp

from flynn.core.disk import room
from flynn.core.errors import FlynnError, Full, Invalid, NotFound, TooLarge, Unavailable
from flynn.core.model import Artifact
from flynn.core.room import words

if TYPE_CHECKING:
    from flynn.core.brick import Context

CHUNK = 256 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
"""No limit on a whole transfer, but one of 60 s on each silence in it."""

ASKED = aiohttp.ClientTimeout(total=5)
"""A shelf says at once whether it has a blob."""

ANSWERED = 200, 201

SMALL = 256 * 1024
"""Bytes of a blob that is put without asking first whether it is there: to ask takes as long."""

UNUSED, SWEEP = "Flynn-Unused", "sweep"
"""A header of a PUT that says that the blob may go once nothing refers to it; of an answer too, that it may."""

REFUSALS = {413: TooLarge, 507: Full}


class NearShelf(Protocol):
    """The shelf of this daemon (`ctx.near`). Unavailable: its disk fails."""

    async def keep(self, sha256: str, file: BinaryIO) -> None:
        """Keep what is in a file, durably before it returns; it goes once nothing refers to it. Invalid: the bytes have
        another digest. Full, TooLarge."""

    async def has(self, sha256: str) -> bool:
        """Whether a blob is here: then it counts as asked for."""

    async def open(self, sha256: str) -> BinaryIO | None:
        """The bytes of a blob, in a file to be read alone; None: it is not here."""


async def fetch(ctx: "Context", sha256: str, path: Path, leave: int = 0, lasts: bool = True) -> None:
    """Write blob `sha256` to `path` (whole or not at all), from the first shelf of the grid that has it. `lasts`: also
    through a power cut.

    NotFound: none has that is up. Invalid: it came damaged. Full: `path` cannot be written, or fewer than `leave` bytes
    of its disk would stay free. Unavailable: a shelf that may have it does not answer.
    """
    missed: FlynnError = NotFound(
        f"blob {sha256[:12]} is on no shelf that is up; wait for the host that has it, or deploy the app again"
    )
    for url in ctx.find_all("shelf"):
        try:
            return await _fetch(ctx, f"{url}/v1/blobs/{sha256}", sha256, path, leave, lasts)
        except NotFound:
            pass
        except (Invalid, Unavailable) as error:
            missed = error
    raise missed


async def store(ctx: "Context", path: Path, named: Artifact | None = None) -> Artifact:
    """Put the file at `path` on a shelf, this machine's first, unless it is there already. A record must name it within
    a day or so (`shelf.unused`): what no record names goes. `named`: its digest and size, where they are known.

    Full, Unavailable: no shelf of the grid takes it; what the last one said. TooLarge.
    """
    named = named or await name(path)
    refused: FlynnError = Unavailable("no shelf is up")
    for url in ctx.find_all("shelf"):
        try:
            await _store(ctx, f"{url}/v1/blobs/{named.sha256}", named, path)
            return named
        except (Full, Unavailable) as error:
            refused = error
    raise refused


async def is_near(ctx: "Context", sha256: str) -> bool:
    """Whether the shelf of this machine has a blob: then it counts as asked for."""
    for url in ctx.find_all("shelf"):
        if near := ctx.near.get(_home(url)):
            with contextlib.suppress(Unavailable):
                return await near.has(sha256)
    return False


async def missing(ctx: "Context", wanted: Collection[str]) -> set[str]:
    """Those of these blobs of which no shelf says that it has them. Unavailable: there is no shelf."""
    found = await asyncio.gather(*(_is_there(ctx, sha256) for sha256 in wanted))
    return {sha256 for sha256, there in zip(wanted, found, strict=True) if not there}


async def name(path: Path) -> Artifact:
    """What the blob of a file is called."""
    return await asyncio.to_thread(named, path)


def named(path: Path) -> Artifact:
    """The same. Blocks: call it in a thread."""
    sha256, size = digest(path)
    return Artifact(sha256=sha256, size=size)


def digest(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file, and its size in bytes. Blocks: call it in a thread."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


async def _is_there(ctx: "Context", sha256: str) -> bool:
    for url in ctx.find_all("shelf"):
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, Unavailable):
            if near := ctx.near.get(_home(url)):
                if await near.has(sha256):
                    return True
                continue
            async with ctx.http.head(f"{url}/v1/blobs/{sha256}", timeout=ASKED) as response:
                if response.status == 200:
                    return True
    return False


async def _fetch(ctx: "Context", url: str, sha256: str, path: Path, leave: int, lasts: bool) -> None:
    try:
        if near := ctx.near.get(_home(url)):
            return await _fetch_near(near, sha256, path, leave, lasts)
        async with ctx.http.get(url, timeout=TIMEOUT) as response:
            if response.status == 404:
                raise NotFound(f"blob {sha256[:12]} is not at {url}")
            if response.status != 200:
                raise Unavailable(f"the shelf answered {response.status} for blob {sha256[:12]}")
            _check_room(sha256, path, response.content_length or 0, leave)
            async with _aside(path) as file:
                _check(await _copy(response, file), sha256)
                await asyncio.to_thread(_settle, file, path, lasts)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the shelf broke off while blob {sha256[:12]} was read: {error}") from None
    except OSError as error:
        raise Full(f"blob {sha256[:12]} cannot be written to {path.parent}: {error.strerror}") from None


async def _fetch_near(near: NearShelf, sha256: str, path: Path, leave: int, lasts: bool) -> None:
    source = await near.open(sha256)
    if source is None:
        raise NotFound(f"blob {sha256[:12]} is not on the shelf of this machine")

    def copied(file: BinaryIO) -> None:
        _check_room(sha256, path, os.fstat(source.fileno()).st_size, leave)
        _check(_copy_file(source, file, sha256), sha256)
        _settle(file, path, lasts)

    with source:
        async with _aside(path) as file:
            await asyncio.to_thread(copied, file)  # Who is cancelled closes both files under it.


def _copy_file(source: BinaryIO, file: BinaryIO, sha256: str) -> str:
    """The digest of all that is in it. Unavailable: it cannot be read. OSError: it cannot be written."""
    seen = hashlib.sha256()
    while True:
        try:
            chunk = source.read(CHUNK)
        except OSError as error:
            raise Unavailable(f"the disk of the shelf does not give blob {sha256[:12]}: {error.strerror}") from None
        if not chunk:
            return seen.hexdigest()
        seen.update(chunk)
        file.write(chunk)


def _check_room(sha256: str, path: Path, size: int, leave: int) -> None:
    if leave and room(path.parent).free - size < leave:
        raise Full(f"blob {sha256[:12]} cannot be fetched: less than {words(leave)} would stay free on the disk")


def _check(found: str, sha256: str) -> None:
    if found != sha256:
        raise Invalid(f"blob {sha256[:12]} came damaged from the shelf (its digest is {found[:12]})")


def _home(url: str) -> str:
    """The URL of the node whose shelf this is on."""
    return url.partition("/v1/")[0]


async def _store(ctx: "Context", url: str, named: Artifact, path: Path) -> None:
    try:
        if near := ctx.near.get(_home(url)):
            with path.open("rb") as file:
                await near.keep(named.sha256, file)
            return
        if named.size > SMALL:
            async with ctx.http.head(url, timeout=TIMEOUT) as response:
                if response.status == 200:
                    return
        with path.open("rb") as file:
            async with ctx.http.put(url, data=file, headers={UNUSED: SWEEP}, timeout=TIMEOUT) as response:
                if response.status not in ANSWERED:
                    text = (await response.json()).get("message", f"the shelf answered {response.status}")
                    raise REFUSALS.get(response.status, Unavailable)(text)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the shelf broke off while blob {named.sha256[:12]} was written: {error}") from None


@asynccontextmanager
async def _aside(path: Path) -> AsyncIterator[BinaryIO]:
    """A new file beside `path`, gone after the block unless renamed. Two fetches of one blob must not share one."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    file = partial.open("xb")
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):  # The disk is full; the write before this has told so.
            file.close()  # Not in a thread: a fetch that is cancelled again would leave it open.
        partial.unlink(missing_ok=True)


async def _copy(response: aiohttp.ClientResponse, file: BinaryIO) -> str:
    """The digest of all that came."""
    seen = hashlib.sha256()

    def take(chunk: bytes) -> None:
        seen.update(chunk)
        file.write(chunk)

    async for chunk in response.content.iter_chunked(CHUNK):
        await asyncio.to_thread(take, chunk)
    return seen.hexdigest()


def _settle(file: BinaryIO, path: Path, lasts: bool) -> None:
    """Make the file `path`, with bytes that last through a power cut, if they are to."""
    file.flush()
    if lasts:
        os.fsync(file.fileno())
    os.replace(file.name, path)

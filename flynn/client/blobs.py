"""The shelf's calls: files by their digest, streamed both ways."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, BinaryIO

from flynn.client.calls import Calls
from flynn.client.wire import STREAM, UNARY
from flynn.core.blobs import SWEEP, UNUSED, digest
from flynn.core.errors import Invalid, NotFound
from flynn.core.records import BlobInfo

CHUNK = 256 * 1024


class BlobCalls(Calls):
    """Put, get, list and remove blobs; part of `Client`."""

    async def blobs(self) -> list[BlobInfo]:
        return await self.wire.call("GET", "/v1/blobs", list[BlobInfo])

    async def has_blob(self, sha256: str, for_good: bool = False) -> bool:
        """Whether it is there; `for_good`: and stays until somebody removes it."""
        try:
            async with self.wire.open("HEAD", f"/v1/blobs/{sha256}", UNARY) as response:
                return not for_good or response.headers.get(UNUSED) != SWEEP
        except NotFound:
            return False

    async def put_blob(self, path: Path, sweep: bool = False) -> BlobInfo:
        """Put a file on the shelf, unless it is there already. `sweep`: it goes once the grid does not use it."""
        sha256, size = await asyncio.to_thread(digest, path)
        if not await self.has_blob(sha256, for_good=not sweep):
            with path.open("rb") as file:
                headers = {"Content-Length": str(size)} | ({UNUSED: SWEEP} if sweep else {})
                async with self.wire.open("PUT", f"/v1/blobs/{sha256}", STREAM, data=chunks(file), headers=headers):
                    pass
        return BlobInfo(sha256=sha256, size=size)

    async def get_blob(self, sha256: str, out: BinaryIO) -> int:
        """Write a blob to `out`; its size. Invalid: what came has another digest."""
        seen, size = hashlib.sha256(), 0
        async with self.wire.open("GET", f"/v1/blobs/{sha256}", STREAM) as response:
            async for chunk in response.content.iter_chunked(CHUNK):
                await asyncio.to_thread(out.write, chunk)
                seen.update(chunk)
                size += len(chunk)
        if seen.hexdigest() != sha256:
            raise Invalid(f"blob {sha256[:12]} came damaged from the shelf; read it again")
        return size

    async def remove_blob(self, sha256: str) -> None:
        async with self.wire.open("DELETE", f"/v1/blobs/{sha256}", UNARY):
            pass


async def chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The file from where it stands, read in a thread."""
    while chunk := await asyncio.to_thread(file.read, CHUNK):
        yield chunk

"""What keeps blobs: one protocol, several places (this machine's disk; others may follow)."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Protocol

import msgspec

from flynn.core.errors import Invalid

CHUNK = 256 * 1024
"""Bytes that are read from a blob at once."""

DIGEST = re.compile(r"[0-9a-f]{64}")


class Blob(msgspec.Struct, frozen=True):
    """Bytes that never change, named by their SHA-256 in lower-case hexadecimal. `created`: seconds since the epoch.

    `asked`: when it was last put or asked for, if it may be swept once nothing refers to it; 0: it stays until somebody
    removes it.
    """

    sha256: str
    size: int
    created: float
    asked: float = 0.0


class Usage(msgspec.Struct, frozen=True):
    """How much is kept: blobs, and bytes in them."""

    count: int
    size: int

    def __str__(self) -> str:
        return f"{self.count} {'blob' if self.count == 1 else 'blobs'}, {round(self.size / 1e6)} MB"


class BlobStore(Protocol):
    """Keeps blobs. `tests/contract/blobstore.py` is the contract. Digests given are well formed (`check_digest`).

    Every call may raise Unavailable: the place that keeps the bytes fails.
    """

    @property
    def limit(self) -> int:
        """Bytes that one blob may have."""

    @property
    def usage(self) -> Usage:
        """What is kept now; asking costs nothing."""

    async def put(self, sha256: str, chunks: AsyncIterator[bytes], sweep: bool = False) -> bool:
        """Keep the bytes that come, durably before it returns; True if they are new, False if they were here already.

        `sweep`: they may be swept once unused, unless they were put here without that, before or later.

        A blob is visible whole or not at all. Invalid: the bytes have another digest. TooLarge: over `limit`.
        Full: no room. What `chunks` raises ends it. Two of one digest at once do each other no harm.
        """

    async def put_file(self, sha256: str, file: BinaryIO, sweep: bool = False) -> bool:
        """As `put`, for the bytes of a file from where it stands."""

    async def head(self, sha256: str) -> Blob | None:
        """The blob without its bytes, or None. Who finds it has asked for it: see `sweep`."""

    def open(self, sha256: str, start: int, stop: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes from `start` up to `stop`, to the end even if the blob is deleted meanwhile. NotFound: no blob."""

    async def open_file(self, sha256: str) -> BinaryIO | None:
        """The bytes in a file that is only to be read, to the end even if the blob is deleted meanwhile; None: no blob.
        Who has it has asked for it: see `sweep`."""

    async def delete(self, sha256: str) -> bool:
        """Remove the blob; False if there was none."""

    async def sweep(self, blob: Blob) -> bool:
        """Remove a blob that may be swept; False, and it stays, if it was put or asked for since `blob` was listed."""

    async def list(self) -> list[Blob]:
        """All blobs, by digest. None of them counts as asked for."""


def check_digest(text: str) -> str:
    """`text` itself when it may name a blob; Invalid if not. What passes is safe as a file name."""
    if DIGEST.fullmatch(text):
        return text
    raise Invalid(f"{text[:70]!r} is no name of a blob: give its SHA-256 as 64 lower-case hexadecimal digits")

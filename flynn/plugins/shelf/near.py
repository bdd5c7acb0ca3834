"""The shelf for the bricks of its own daemon, which can be given files and give them: nothing of that goes by HTTP."""

from collections.abc import Callable
from typing import BinaryIO

from flynn.plugins.shelf.blobs import BlobStore, check_digest


class Near:
    """A `NearShelf` over a store. `on_change` is called after each blob that came."""

    def __init__(self, store: BlobStore, on_change: Callable[[], None]) -> None:
        self._store = store
        self._on_change = on_change

    async def keep(self, sha256: str, file: BinaryIO) -> None:
        await self._store.put_file(check_digest(sha256), file, sweep=True)
        self._on_change()

    async def has(self, sha256: str) -> bool:
        return await self._store.head(check_digest(sha256)) is not None

    async def open(self, sha256: str) -> BinaryIO | None:
        return await self._store.open_file(check_digest(sha256))

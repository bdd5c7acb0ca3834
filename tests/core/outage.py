"""A store that can be cut off, over a real one: what the daemon sees when its store is away for a while."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from flynn.core.errors import Unavailable
from flynn.core.store import Batch, Item, Op, Range, Store, Unchanged

T = TypeVar("T")


class Line:
    """The line to a store. While it is cut every call fails, and watches break; commits that began go through."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = store.name
        self._cut = asyncio.Event()

    def cut(self) -> None:
        self._cut.set()

    def mend(self) -> None:
        self._cut = asyncio.Event()

    async def get(self, key: str) -> Item | None:
        return await self._through(self.store.get(key))

    async def range(self, prefix: str = "") -> Range:
        return await self._through(self.store.range(prefix))

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        return await self._through(self.store.commit(ops, guards))

    async def grant(self, ttl: float) -> int:
        return await self._through(self.store.grant(ttl))

    async def renew(self, lease: int) -> None:
        await self._through(self.store.renew(lease))

    async def revoke(self, lease: int) -> None:
        await self._through(self.store.revoke(lease))

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
        self._check()
        async with self.store.watch(prefix, after) as batches:
            yield self._until_cut(batches)

    async def _until_cut(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            while True:
                coming = asyncio.ensure_future(anext(batches))
                try:
                    await asyncio.wait([coming, cut], return_when=asyncio.FIRST_COMPLETED)
                    self._check()
                    yield coming.result()
                finally:
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
        finally:
            cut.cancel()

    async def _through(self, call: Awaitable[T]) -> T:
        task = asyncio.ensure_future(call)
        if self._cut.is_set():
            task.cancel()
        self._check()
        return await task

    def _check(self) -> None:
        if self._cut.is_set():
            raise Unavailable("the line is cut")

"""A store in a dict: for tests, and the semantics that the other engines must match."""

import asyncio
import itertools
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from flynn.core.errors import Compacted, NotFound
from flynn.core.store import Batch, Delete, Item, Op, Put, Range, Unchanged, check_commit, overtaken


@dataclass(eq=False)
class MemoryStore:
    """Facts in memory, gone with the process. `clock` gives seconds that never go back."""

    name: str = "memory"
    clock: Callable[[], float] = time.monotonic
    _items: dict[str, tuple[Item, int]] = field(default_factory=dict)
    _leases: dict[int, tuple[float, float]] = field(default_factory=dict)
    _history: list[Batch] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _revision: int = 0
    _compacted: int = 0
    _grew: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, key: str) -> Item | None:
        self._expire()
        found = self._items.get(key)
        return found[0] if found else None

    async def range(self, prefix: str = "") -> Range:
        self._expire()
        items = sorted((i for i, _ in self._items.values() if i.key.startswith(prefix)), key=lambda i: i.key)
        return Range(tuple(items), self._revision)

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        self._expire()
        check_commit(ops, guards)
        for guard in guards:
            found = self._items.get(guard.key)
            if (found[0].revision if found else 0) != guard.revision:
                raise overtaken(guard.key, self._revision)
        for op in ops:
            if isinstance(op, Put) and op.lease and op.lease not in self._leases:
                raise NotFound(f"lease {op.lease} has ended")
        return self._apply(ops)

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
        if after < self._compacted:
            raise Compacted(f"revision {after} is gone; the oldest is {self._compacted}")
        yield self._batches(prefix, after)

    async def grant(self, ttl: float) -> int:
        lease = next(self._ids)
        self._leases[lease] = (ttl, self.clock() + ttl)
        return lease

    async def renew(self, lease: int) -> None:
        self._expire()
        if lease not in self._leases:
            raise NotFound(f"lease {lease} has ended")
        ttl, _ = self._leases[lease]
        self._leases[lease] = (ttl, self.clock() + ttl)

    async def revoke(self, lease: int) -> None:
        self._end([lease] if lease in self._leases else [])

    def compact(self) -> None:
        """Forget the history up to now."""
        self._compacted = self._revision
        self._history.clear()

    def _apply(self, ops: Sequence[Op]) -> int:
        ops = [op for op in ops if isinstance(op, Put) or op.key in self._items]
        if not ops:
            return self._revision
        self._revision += 1
        puts, deletes = [], []
        for op in ops:
            old = self._items.get(op.key)
            if isinstance(op, Put):
                item = Item(op.key, op.value, old[0].created if old else self._revision, self._revision)
                self._items[op.key] = (item, op.lease)
                puts.append(item)
            else:
                del self._items[op.key]
                deletes.append(op.key)
        self._history.append(Batch(self._revision, tuple(puts), tuple(deletes)))
        self._grew.set()
        self._grew = asyncio.Event()
        return self._revision

    async def _batches(self, prefix: str, after: int) -> AsyncIterator[Batch]:
        while True:
            self._expire()
            grew = self._grew
            if after < self._compacted:
                raise Compacted(f"revision {after} is gone; the oldest is {self._compacted}")
            for batch in self._history[bisect_right(self._history, after, key=lambda b: b.revision) :]:
                after = batch.revision
                puts = tuple(i for i in batch.puts if i.key.startswith(prefix))
                deletes = tuple(k for k in batch.deletes if k.startswith(prefix))
                if puts or deletes:
                    yield Batch(batch.revision, puts, deletes)
            try:
                async with asyncio.timeout(self._until_expiry()):
                    await grew.wait()
            except TimeoutError:
                continue

    def _until_expiry(self) -> float | None:
        ends = [end for _, end in self._leases.values()]
        return max(min(ends) - self.clock(), 0.01) if ends else None

    def _expire(self) -> None:
        now = self.clock()
        self._end([lease for lease, (_, end) in self._leases.items() if end <= now])

    def _end(self, leases: list[int]) -> None:
        if not leases:
            return
        for lease in leases:
            del self._leases[lease]
        gone = [key for key, (_, lease) in self._items.items() if lease in leases and lease]
        if gone:
            self._apply([Delete(key) for key in gone])

"""The store in memory keeps the contract, which makes it the model of the others."""

import pytest

from flynn.core.errors import Compacted
from flynn.core.memory import MemoryStore
from flynn.core.store import Put, Store
from tests.contract.store import StoreContract


class TestMemory(StoreContract):
    ttl = 0.6
    late = 2.0

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


async def test_a_watch_from_before_a_compaction_is_refused() -> None:
    store = MemoryStore()
    first = await store.commit([Put("a", b"")])
    second = await store.commit([Put("a", b"")])
    store.compact()
    with pytest.raises(Compacted):
        async with store.watch("", first):
            pass
    async with store.watch("", second):
        pass


async def test_a_watcher_overtaken_by_a_compaction_is_told() -> None:
    store = MemoryStore()
    async with store.watch("", await store.commit([Put("a", b"")])) as batches:
        await store.commit([Put("a", b"")])
        store.compact()
        with pytest.raises(Compacted):
            await anext(batches)


async def test_leases_end_by_the_clock_alone() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: now)
    lease = await store.grant(10)
    await store.commit([Put("a", b"", lease)])
    now += 9.9
    assert await store.get("a") is not None
    await store.renew(lease)
    now += 9.9
    assert await store.get("a") is not None
    now += 0.2
    assert await store.get("a") is None

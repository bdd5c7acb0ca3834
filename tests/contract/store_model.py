"""Any Store under random work, against the store in memory as the model."""

import asyncio
import random

import pytest

from flynn.core.errors import FlynnError
from flynn.core.memory import MemoryStore
from flynn.core.store import Batch, Delete, Item, Op, Put, Store, Unchanged
from tests.contract.store_leases import LEASE
from tests.contract.store_watches import LIMIT, take


class AsModel:
    """The same work has the same end."""

    @pytest.mark.parametrize("seed", range(6))
    async def test_random_work_is_as_in_the_model(self, store: Store, seed: int) -> None:
        chance, pair = random.Random(seed), _Pair(store, MemoryStore())
        start = (await store.range()).revision
        for _ in range(60):
            await pair.step(chance)
        expected = await pair.batches()
        found = await take(store, "", start, len(expected))
        assert [_shape(batch) for batch in found] == [_shape(batch) for batch in expected]
        assert [b.revision for b in found] == sorted({b.revision for b in found})


def _shape(batch: Batch) -> tuple[list[tuple[str, bytes]], list[str]]:
    return sorted((item.key, item.value) for item in batch.puts), sorted(batch.deletes)


class _Pair:
    """A store and its model: every step is done on both, and must end the same way.

    Revisions and leases differ between the two; `_revisions` and `_leases` say which are the same.
    """

    def __init__(self, store: Store, model: MemoryStore) -> None:
        self.store, self.model = store, model
        self._revisions = {0: 0}
        self._leases = {0: 0}

    async def step(self, chance: random.Random) -> None:
        """One more change on both, then the same range of both."""
        kind = chance.random()
        if kind < 0.05:
            self._leases[await self.model.grant(LEASE)] = await self.store.grant(LEASE)
        elif kind < 0.08:
            lease = chance.choice(sorted(self._leases))
            await self.model.revoke(lease)
            await self.store.revoke(self._leases[lease])
        else:
            await self._commit(*await self._drawn(chance))
        prefix = chance.choice(["", "a/", "b/", "a/1"])
        expected = [self._translated(item) for item in (await self.model.range(prefix)).items]
        assert list((await self.store.range(prefix)).items) == expected

    async def batches(self) -> list[Batch]:
        """All that the model's watchers saw."""
        last = await self.model.commit([Put("end", b"")])
        await self.store.commit([Put("end", b"")])
        found: list[Batch] = []
        async with asyncio.timeout(LIMIT), self.model.watch("", 0) as batches:
            while not found or found[-1].revision < last:
                found.append(await anext(batches))
        return found

    async def _drawn(self, chance: random.Random) -> tuple[list[Op], list[Unchanged]]:
        names = [f"{table}/{n}" for table in "ab" for n in range(12)]
        lease = chance.choice(sorted(self._leases))
        ops: list[Op] = [
            Delete(name) if chance.random() < 0.3 else Put(name, chance.randbytes(5), chance.choice([0, lease]))
            for name in chance.sample(names, chance.randint(1, 4))
        ]
        guards = []
        for name in chance.sample(names, chance.randint(0, 3)):
            item = await self.model.get(name)
            known = item.revision if item else 0
            guards.append(Unchanged(name, known if chance.random() < 0.9 else chance.choice(sorted(self._revisions))))
        return ops, guards

    async def _commit(self, ops: list[Op], guards: list[Unchanged]) -> None:
        there = [Put(op.key, op.value, self._leases[op.lease]) if isinstance(op, Put) else op for op in ops]
        there_guards = [Unchanged(guard.key, self._revisions[guard.revision]) for guard in guards]
        try:
            revision = await self.model.commit(ops, guards)
        except FlynnError as error:
            with pytest.raises(type(error)):
                await self.store.commit(there, there_guards)
        else:
            self._revisions.setdefault(revision, await self.store.commit(there, there_guards))

    def _translated(self, item: Item) -> Item:
        return Item(item.key, item.value, self._revisions[item.created], self._revisions[item.revision])

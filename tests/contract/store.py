"""The contract of a Store: for each engine a class that inherits `StoreContract`, and a fixture `store`.

The fixture gives an engine without keys; its revision may be any. Only the protocol is used, and no revision is
expected but those that the engine returned itself.

    class TestEtcd(StoreContract):
        @pytest.fixture
        async def store(self, etcd: str) -> AsyncIterator[Store]:
            async with open_etcd(...) as store:
                yield store
"""

import asyncio
import random

import pytest

from flynn.core.errors import Conflict, FlynnError, Invalid, NotFound
from flynn.core.memory import MemoryStore
from flynn.core.store import COMMIT_LIMIT, GUARD_LIMIT, VALUE_LIMIT, Batch, Delete, Item, Op, Put, Store, Unchanged

LIMIT = 10.0
"""Seconds after which a test gives up waiting for what must come."""

LEASE = 600.0
"""The ttl of leases that shall not expire during a test."""


class StoreContract:
    """What any Store does."""

    ttl = 2.0
    """Seconds of the shortest lease of the engine."""

    late = 10.0
    """Seconds by which a lease may end after its ttl."""

    # reading and writing

    async def test_an_absent_key_is_none(self, store: Store) -> None:
        assert await store.get("apps/none") is None

    async def test_a_key_is_what_was_put(self, store: Store) -> None:
        revision = await store.commit([Put("apps/a", b"one")])
        assert await store.get("apps/a") == Item("apps/a", b"one", revision, revision)

    async def test_a_value_is_any_bytes(self, store: Store) -> None:
        values = {"v/empty": b"", "v/bytes": bytes(range(256)), "v/large": b"x" * VALUE_LIMIT}
        for key, value in values.items():
            await store.commit([Put(key, value)])
        assert {item.key: item.value for item in (await store.range("v/")).items} == values

    async def test_a_second_put_keeps_created(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"one")])
        second = await store.commit([Put("apps/a", b"two")])
        assert second > first
        assert await store.get("apps/a") == Item("apps/a", b"two", first, second)

    async def test_a_key_made_again_has_a_new_created(self, store: Store) -> None:
        await store.commit([Put("apps/a", b"one")])
        await store.commit([Delete("apps/a")])
        assert await store.get("apps/a") is None
        again = await store.commit([Put("apps/a", b"two")])
        assert await store.get("apps/a") == Item("apps/a", b"two", again, again)

    async def test_a_range_is_what_begins_with_the_prefix_sorted(self, store: Store) -> None:
        keys = [
            "apps/b",
            "apps/a",
            "apps",
            "apps/a-1",
            "apps/a/1",
            "appt",
            "a_b/x",
            "axb/x",
            "apps/A",
            "apps/~",
            "app%",
        ]
        for key in keys:
            await store.commit([Put(key, key.encode())])
        for prefix in ("", "apps/", "apps/a", "a_b/", "app%", "apps/zzz"):
            found = (await store.range(prefix)).items
            assert [item.key for item in found] == sorted(key for key in keys if key.startswith(prefix))
            assert all(item.value == item.key.encode() for item in found)

    async def test_a_range_tells_its_revision(self, store: Store) -> None:
        before = await store.range()
        assert before.items == ()
        written = await store.commit([Put("apps/a", b"one")])
        assert before.revision < written <= (await store.range()).revision
        assert (await store.range("other/")).revision >= written

    async def test_removing_what_is_absent_is_no_error(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"one")])
        revision = await store.commit([Delete("apps/b")])
        assert first <= revision <= (await store.range()).revision
        second = await store.commit([Put("apps/c", b"two")])
        assert [batch.revision for batch in await take(store, "", first, 1)] == [second]
        assert await store.get("apps/a") == Item("apps/a", b"one", first, first)

    # guards

    async def test_guards_that_hold(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"one")], [Unchanged("apps/a", 0)])
        second = await store.commit([Put("apps/b", b"one")], [Unchanged("apps/a", first), Unchanged("apps/b", 0)])
        third = await store.commit([Delete("apps/b")], [Unchanged("apps/b", second)])
        await store.commit([Put("apps/b", b"two")], [Unchanged("apps/b", 0), Unchanged("apps/a", first)])
        assert third > second > first

    async def test_a_conflict_does_nothing(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"one")])
        second = await store.commit([Put("apps/a", b"two")])
        before = await store.range()
        ops: list[Op] = [Put("apps/a", b"three"), Put("apps/b", b"new"), Delete("apps/a/x")]
        for guard in (Unchanged("apps/a", first), Unchanged("apps/a", 0), Unchanged("apps/b", second)):
            with pytest.raises(Conflict):
                await store.commit(ops, [Unchanged("apps/c", 0), guard])
        assert (await store.range()).items == before.items

    async def test_a_guard_of_no_revision_never_holds(self, store: Store) -> None:
        """What the fence of a leader that lost its election is made of."""
        await store.commit([Put("apps/a", b"one")])
        for key in ("apps/a", "apps/none"):
            with pytest.raises(Conflict):
                await store.commit([Put("apps/b", b"")], [Unchanged(key, -1)])
        assert await store.get("apps/b") is None

    async def test_guards_alone_tell_whether_they_hold(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"one")])
        await store.commit([], [Unchanged("apps/a", first)])
        with pytest.raises(Conflict):
            await store.commit([], [Unchanged("apps/a", 0)])

    async def test_concurrent_guarded_increments_lose_none(self, store: Store) -> None:
        async def increment() -> None:
            while True:
                item = await store.get("count")
                value = str(int(item.value) + 1 if item else 1).encode()
                try:
                    await store.commit([Put("count", value)], [Unchanged("count", item.revision if item else 0)])
                except Conflict:
                    continue
                return

        async with asyncio.timeout(3 * LIMIT):
            await asyncio.gather(*(increment() for _ in range(20)))
        item = await store.get("count")
        assert item is not None
        assert item.value == b"20"

    async def test_one_of_many_creators_wins(self, store: Store) -> None:
        tries = [store.commit([Put("one", b"%d" % n)], [Unchanged("one", 0)]) for n in range(20)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        won = [n for n, result in enumerate(results) if isinstance(result, int)]
        assert len(won) == 1
        assert all(isinstance(result, Conflict) for n, result in enumerate(results) if n != won[0])
        item = await store.get("one")
        assert item is not None
        assert (item.value, item.revision) == (b"%d" % won[0], results[won[0]])

    # limits

    async def test_the_largest_commit(self, store: Store) -> None:
        guards = [Unchanged(f"k/{n}", 0) for n in range(GUARD_LIMIT)]
        revision = await store.commit([Put(f"k/{n}", b"x") for n in range(COMMIT_LIMIT)], guards)
        found = (await store.range("k/")).items
        assert len(found) == COMMIT_LIMIT
        assert {item.revision for item in found} == {revision}

    async def test_over_a_limit_is_invalid(self, store: Store) -> None:
        many: list[Op] = [Put(f"k/{n}", b"x") for n in range(COMMIT_LIMIT + 1)]
        with pytest.raises(Invalid, match=str(COMMIT_LIMIT)):
            await store.commit(many)
        with pytest.raises(Invalid, match=str(GUARD_LIMIT)):
            await store.commit([Put("k", b"")], [Unchanged(f"g/{n}", 0) for n in range(GUARD_LIMIT + 1)])
        with pytest.raises(Invalid, match=str(VALUE_LIMIT)):
            await store.commit([Put("k", b"x" * (VALUE_LIMIT + 1))])
        assert (await store.range()).items == ()

    async def test_a_key_named_twice_is_invalid(self, store: Store) -> None:
        others: list[Op] = [Put("k", b"2"), Delete("k")]
        for other in others:
            with pytest.raises(Invalid, match="twice"):
                await store.commit([Put("k", b"1"), other])
        assert await store.get("k") is None

    # leases

    async def test_the_end_of_a_lease_takes_its_keys_at_once(self, store: Store) -> None:
        lease, other = await store.grant(LEASE), await store.grant(LEASE)
        assert 0 not in (lease, other)
        assert lease != other
        after = await store.commit(
            [Put("hosts/a", b"1", lease), Put("hosts/b", b"2", lease), Put("hosts/c", b"3", other), Put("apps/a", b"4")]
        )
        await store.revoke(lease)
        assert [item.key for item in (await store.range()).items] == ["apps/a", "hosts/c"]
        [gone] = await take(store, "", after, 1)
        assert (gone.puts, sorted(gone.deletes)) == ((), ["hosts/a", "hosts/b"])

    async def test_a_lease_that_ended_is_not_found(self, store: Store) -> None:
        lease = await store.grant(LEASE)
        await store.renew(lease)
        await store.revoke(lease)
        await store.revoke(lease)
        with pytest.raises(NotFound):
            await store.renew(lease)
        with pytest.raises(NotFound):
            await store.commit([Put("apps/a", b"1"), Put("hosts/a", b"1", lease)])
        assert (await store.range()).items == ()

    async def test_a_put_takes_a_key_off_its_lease_or_to_another(self, store: Store) -> None:
        lease, other = await store.grant(LEASE), await store.grant(LEASE)
        await store.commit([Put(f"hosts/{name}", b"1", lease) for name in "abc"])
        await store.commit([Put("hosts/a", b"2"), Put("hosts/b", b"2", other)])
        await store.revoke(lease)
        assert [item.key for item in (await store.range()).items] == ["hosts/a", "hosts/b"]
        await store.revoke(other)
        assert [item.key for item in (await store.range()).items] == ["hosts/a"]

    async def test_a_key_made_again_without_lease_stays(self, store: Store) -> None:
        lease = await store.grant(LEASE)
        await store.commit([Put("hosts/a", b"1", lease)])
        await store.commit([Delete("hosts/a")])
        await store.commit([Put("hosts/a", b"2")])
        await store.revoke(lease)
        assert await store.get("hosts/a") is not None

    async def test_a_lease_ends_by_itself(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        lease = await store.grant(self.ttl)
        after = await store.commit([Put("hosts/a", b"1", lease), Put("hosts/b", b"1", lease)])
        async with asyncio.timeout(self.ttl + self.late), store.watch("", after) as batches:
            gone = await anext(batches)
        assert loop.time() - began >= self.ttl * 0.9
        assert sorted(gone.deletes) == ["hosts/a", "hosts/b"]
        assert (await store.range()).items == ()
        with pytest.raises(NotFound):
            await store.renew(lease)

    async def test_a_renewed_lease_lives(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        lease = await store.grant(self.ttl)
        await store.commit([Put("hosts/a", b"1", lease)])
        began = loop.time()
        while loop.time() - began < 2.5 * self.ttl:
            await asyncio.sleep(self.ttl / 5)
            await store.renew(lease)
            assert await store.get("hosts/a") is not None
        async with asyncio.timeout(self.ttl + self.late):
            while await store.get("hosts/a") is not None:
                await asyncio.sleep(self.ttl / 10)

    # watching

    async def test_a_watch_shows_the_past_then_what_comes(self, store: Store) -> None:
        start = (await store.range()).revision
        first = await store.commit([Put("apps/a", b"1")])
        second = await store.commit([Put("apps/a", b"2"), Put("apps/b", b"1")])
        async with asyncio.timeout(LIMIT), store.watch("", start) as batches:
            assert await anext(batches) == Batch(first, (Item("apps/a", b"1", first, first),), ())
            shown = await anext(batches)
            assert shown.revision == second
            assert set(shown.puts) == {Item("apps/a", b"2", first, second), Item("apps/b", b"1", second, second)}
            third = await store.commit([Delete("apps/a")])
            assert await anext(batches) == Batch(third, (), ("apps/a",))
        async with asyncio.timeout(LIMIT), store.watch("", second) as batches:
            assert (await anext(batches)).revision == third

    async def test_a_commit_is_seen_whole(self, store: Store) -> None:
        start = await store.commit([Put(f"k/{n}", b"old") for n in range(50)])
        deletes: list[Op] = [Delete(f"k/{n}") for n in range(0, 50, 2)]
        puts: list[Op] = [Put(f"k/{n}", b"new" * 5000) for n in range(1, 50, 2)]
        revision = await store.commit([*deletes, *puts, Put("l/1", b""), Delete("k/absent")])
        [batch] = await take(store, "", start, 1)
        assert batch.revision == revision
        assert {item.key for item in batch.puts} == {op.key for op in puts} | {"l/1"}
        assert {item.created for item in batch.puts} == {start, revision}
        assert sorted(batch.deletes) == sorted(op.key for op in deletes)

    async def test_a_commit_as_large_as_allowed_is_seen_whole(self, store: Store) -> None:
        start = (await store.range()).revision
        await store.commit([Put(f"k/{n}", b"x" * 10_000) for n in range(COMMIT_LIMIT)])
        [batch] = await take(store, "k/", start, 1)
        assert len(batch.puts) == COMMIT_LIMIT

    async def test_a_watch_shows_only_its_prefix(self, store: Store) -> None:
        start = (await store.range()).revision
        await store.commit([Put("hosts/a", b"1")])
        mixed = await store.commit([Put("hosts/b", b"1"), Put("apps/a", b"1"), Put("apps", b"1")])
        await store.commit([Delete("hosts/a"), Put("a_ps/a", b"1")])
        last = await store.commit([Delete("apps/a"), Delete("hosts/b")])
        assert await take(store, "apps/", start, 2) == [
            Batch(mixed, (Item("apps/a", b"1", mixed, mixed),), ()),
            Batch(last, (), ("apps/a",)),
        ]

    async def test_a_watch_shows_that_a_key_was_made_again(self, store: Store) -> None:
        first = await store.commit([Put("apps/a", b"1")])
        second = await store.commit([Delete("apps/a")])
        third = await store.commit([Put("apps/a", b"1")])
        fourth = await store.commit([Put("apps/a", b"1")])
        assert await take(store, "", first, 3) == [
            Batch(second, (), ("apps/a",)),
            Batch(third, (Item("apps/a", b"1", third, third),), ()),
            Batch(fourth, (Item("apps/a", b"1", third, fourth),), ()),
        ]

    async def test_a_conflict_shows_nothing(self, store: Store) -> None:
        start = await store.commit([Put("apps/a", b"1")])
        with pytest.raises(Conflict):
            await store.commit([Put("apps/a", b"2")], [Unchanged("apps/a", 0)])
        last = await store.commit([Put("apps/a", b"3")])
        assert [batch.revision for batch in await take(store, "", start, 1)] == [last]

    async def test_two_watchers_see_the_same(self, store: Store) -> None:
        start = (await store.range()).revision
        seen = [asyncio.create_task(take(store, "", start, 60)) for _ in range(2)]
        written = [await store.commit([Put(f"k/{n % 7}", b"%d" % n)]) for n in range(60)]
        first, second = await asyncio.gather(*seen)
        assert [batch.revision for batch in first] == written
        assert second == first

    async def test_a_cancelled_watcher_harms_nobody(self, store: Store) -> None:
        start = (await store.range()).revision
        async with asyncio.timeout(LIMIT), store.watch("", start) as batches:
            other = asyncio.create_task(take(store, "", start, 1000))
            await store.commit([Put("k", b"1")])
            assert (await anext(batches)).puts[0].value == b"1"
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
            assert other.cancelled()
            await store.commit([Put("k", b"2")])
            assert (await anext(batches)).puts[0].value == b"2"

    async def test_a_watcher_that_does_not_read_harms_nobody(self, store: Store) -> None:
        start = (await store.range()).revision
        async with asyncio.timeout(3 * LIMIT), store.watch("", start) as batches:
            written = [await store.commit([Put("k", b"x" * 100_000)]) for _ in range(100)]
            assert [(await anext(batches)).revision for _ in written] == written

    async def test_range_then_watch_misses_nothing(self, store: Store) -> None:
        """The mirror's way to follow the facts, begun at several moments while four writers change them."""
        writers = [asyncio.create_task(_write(store, random.Random(n), 30)) for n in range(4)]
        followers = []
        for n in range(5):
            followers.append(asyncio.create_task(_follow(store, "k/end")))
            await store.commit([Put("other", b"%d" % n)])
        await asyncio.gather(*writers)
        await store.commit([Put("k/end", b"")])
        whole = {item.key: item for item in (await store.range("k/")).items}
        assert len(whole) > 1
        for view in await asyncio.gather(*followers):
            assert view == whole

    # all together

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


async def take(store: Store, prefix: str, after: int, count: int) -> list[Batch]:
    """The first `count` batches under `prefix` after a revision."""
    found: list[Batch] = []
    async with asyncio.timeout(3 * LIMIT), store.watch(prefix, after) as batches:
        while len(found) < count:
            found.append(await anext(batches))
    return found


async def _write(store: Store, chance: random.Random, count: int) -> None:
    for n in range(count):
        names = chance.sample("abcdefgh", 2)
        await store.commit([Put(f"k/{names[0]}", b"%d" % n), Delete(f"k/{names[1]}"), Put("other", b"")])


async def _follow(store: Store, end: str) -> dict[str, Item]:
    """What is known of `k/` by one range and a watch from there, once the key `end` was seen."""
    found = await store.range("k/")
    view, last = {item.key: item for item in found.items}, found.revision
    async with asyncio.timeout(3 * LIMIT), store.watch("k/", last) as batches:
        while end not in view:
            batch = await anext(batches)
            assert batch.revision > last
            last = batch.revision
            view.update({item.key: item for item in batch.puts})
            for key in batch.deletes:
                view.pop(key, None)
    return view


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

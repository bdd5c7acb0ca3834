"""What any Store shows to those who watch."""

import asyncio
import random

import pytest

from flynn.core.errors import Conflict
from flynn.core.store import COMMIT_LIMIT, Batch, Delete, Item, Op, Put, Store, Unchanged

LIMIT = 10.0
"""Seconds after which a test gives up waiting for what must come."""


class Watches:
    """Every commit, in order, once, whole."""

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

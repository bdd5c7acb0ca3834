"""What any Store does with keys: reading, writing, guards, limits."""

import asyncio

import pytest

from flynn.core.errors import Conflict, Invalid
from flynn.core.store import COMMIT_LIMIT, GUARD_LIMIT, VALUE_LIMIT, Delete, Item, Op, Put, Store, Unchanged
from tests.contract.store_watches import LIMIT, take


class Commits:
    """Keys, ranges and commits."""

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
            with pytest.raises(Conflict) as refused:
                await store.commit(ops, [Unchanged("apps/c", 0), guard])
            assert refused.value.detail["key"] == guard.key
            known = refused.value.detail["revision"]
            assert (second if guard.key == "apps/a" else 0) <= known <= before.revision
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

"""What any Store does with leases."""

import asyncio

import pytest

from flynn.core.errors import NotFound
from flynn.core.store import Delete, Put, Store
from tests.contract.store_watches import take

LEASE = 600.0
"""The ttl of leases that shall not expire during a test."""


class Leases:
    """Leases, and the keys that live by them."""

    ttl = 2.0
    """Seconds of the shortest lease of the engine."""

    late = 10.0
    """Seconds by which a lease may end after its ttl."""

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

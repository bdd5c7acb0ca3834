"""The mirror over a store in memory."""

from flynn.core import keys
from flynn.core.change import Change, commit
from flynn.core.election import Claim
from flynn.core.facts import encode
from flynn.core.lease import open_lease
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.model import App, Leader
from flynn.core.store import Put


async def test_shows_what_was_there_and_what_comes() -> None:
    store = MemoryStore()
    await store.commit([Put(keys.app("old"), encode(App(name="old", created=1.0)))])
    async with open_mirror(store) as mirror:
        assert list(mirror.facts.apps) == ["old"]
        change = Change(puts={keys.app("new"): App(name="new", created=2.0)}, deletes=(keys.app("old"),))
        facts = await mirror.reach(await commit(store, mirror.facts, change))
        assert list(facts.apps) == ["new"]


async def test_survives_a_compaction() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        for number in range(5):
            await store.commit([Put(keys.app("a"), encode(App(name="a", created=number)))])
            store.compact()
        facts = await mirror.until(lambda f: "a" in f.apps and f.apps["a"].created == 4, 2)
        assert facts.apps["a"].created == 4


async def test_leased_facts_return_after_the_lease_was_lost() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror, open_lease(store, ttl=0.2) as lease:
        await lease.put(keys.election("a"), Leader(host="x"))
        before = lease.id
        await store.revoke(lease.id)
        await mirror.until(lambda f: f.stamp("elections/a") is None, 2)
        await mirror.until(lambda f: f.stamp("elections/a") is not None, 2)
        assert lease.id != before


async def test_one_leader_and_a_lost_leader_cannot_write() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror, open_lease(store) as lease, open_lease(store) as other_lease:
        first = Claim(keys.election("x"), "a", store, mirror, lease)
        second = Claim(keys.election("x"), "b", store, mirror, other_lease)
        await first.hold()
        assert first.held
        assert not second.held
        fence = first.fence
        await store.revoke(lease.id)
        await second.hold()
        assert second.held
        assert not first.held
        assert fence != second.fence

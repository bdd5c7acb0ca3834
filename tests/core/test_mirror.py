"""The mirror, over every engine."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from flynn.core import keys
from flynn.core.change import Change, carry_out, commit, persist
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.model import App, Formation
from flynn.core.store import Batch, Delete, Op, Put, Store, Unchanged
from tests.core.outage import Line

LIMIT = 10.0


def put(name: str, created: float = 1.0) -> Put:
    return Put(keys.app(name), encode(App(name=name, created=created)))


async def test_shows_what_was_there_and_what_comes(store: Store) -> None:
    await store.commit([put("old")])
    async with open_mirror(store) as mirror:
        assert list(mirror.facts.apps) == ["old"]
        change = Change(puts={keys.app("new"): App(name="new", created=2.0)}, deletes=(keys.app("old"),))
        facts = await mirror.reach(await commit(store, mirror.facts, change))
        assert list(facts.apps) == ["new"]
        assert list(facts.apps) == [item.key.split("/")[1] for item in (await store.range("apps/")).items]


async def test_a_photo_never_changes(store: Store) -> None:
    async with open_mirror(store) as mirror:
        before = await mirror.reach(await store.commit([put("a", 1.0)]))
        after = await mirror.reach(await store.commit([put("a", 2.0), put("b")]))
        assert (before.apps["a"].created, after.apps["a"].created) == (1.0, 2.0)
        assert "b" not in before.apps


async def test_every_photo_shows_whole_commits_in_order(store: Store) -> None:
    seen: list[Facts] = []
    async with open_mirror(store) as mirror:
        with mirror.listening(seen.append):
            revisions = [await store.commit([put("a", n), put("b", n), put(f"c-{n}")]) for n in range(20)]
            await mirror.reach(revisions[-1])
    assert [facts.revision for facts in seen] == revisions
    assert all(facts.apps["a"].created == facts.apps["b"].created == n for n, facts in enumerate(seen))


async def test_a_commit_without_effect_is_reached(store: Store) -> None:
    async with open_mirror(store) as mirror:
        await mirror.reach(await store.commit([Delete(keys.app("none"))]), LIMIT)
        await store.commit([put("a")])
        facts = await mirror.reach(await store.commit([Delete(keys.app("none"))]), LIMIT)
        assert "a" in facts.apps


async def test_the_mirror_ends_as_the_store_is(store: Store) -> None:
    """Facts followed commit by commit are what a fresh reading gives."""
    chance = random.Random(11)
    async with open_mirror(store) as mirror:
        for n in range(80):
            names = chance.sample("abcdef", 3)
            ops: list[Op] = [put(names[0], n), put(names[1], n), Delete(keys.app(names[2]))]
            last = await store.commit(ops)
        followed = await mirror.reach(last, LIMIT)
        found = await store.range()
        fresh = Facts.fresh(found.items, found.revision)
        assert dict(followed.apps) == dict(fresh.apps)
        assert followed.stamps["apps"] == fresh.stamps["apps"]


async def test_an_outage_freezes_and_is_got_over(store: Store) -> None:
    line = Line(store)
    async with open_mirror(line) as mirror:
        await mirror.reach(await store.commit([put("a"), put("b")]))
        before = time.time()
        line.cut()
        async with asyncio.timeout(LIMIT):
            while mirror.stale_since is None:
                await asyncio.sleep(0.01)
        assert before <= mirror.stale_since <= time.time()
        revision = await store.commit([put("c"), Delete(keys.app("a"))])
        with pytest.raises(Unavailable, match="not read back"):
            await mirror.reach(revision, 0.2)
        assert sorted(mirror.facts.apps) == ["a", "b"]
        line.mend()
        facts = await mirror.reach(revision, LIMIT)
        assert sorted(facts.apps) == ["b", "c"]
        assert mirror.stale_since is None


async def test_survives_a_compaction() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        for number in range(5):
            await store.commit([put("a", number)])
            store.compact()
        facts = await mirror.until(lambda f: "a" in f.apps and f.apps["a"].created == 4, 2)
        assert facts.apps["a"].created == 4


async def test_a_listener_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(facts: Facts) -> None:
        raise ValueError("no")

    store = MemoryStore()
    async with open_mirror(store) as mirror:
        seen: list[Facts] = []
        with mirror.listening(fail), mirror.listening(seen.append):
            await mirror.reach(await store.commit([put("a")]))
            await mirror.reach(await store.commit([put("b")]))
        await mirror.reach(await store.commit([put("c")]))
    assert len(seen) == 2
    assert "a listener of the mirror failed" in caplog.text


async def test_until_gives_up_and_catch_up_returns_the_old() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        with pytest.raises(TimeoutError):
            await mirror.until(lambda facts: "a" in facts.apps, 0.05)
        assert await mirror.catch_up(mirror.facts, 0.05) is mirror.facts
        old = mirror.facts
        await store.commit([put("a")])
        assert "a" in (await mirror.catch_up(old, LIMIT)).apps


async def test_until_sees_each_photo_also_one_that_does_not_last() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        waiting = asyncio.create_task(mirror.until(lambda facts: "a" in facts.apps, LIMIT))
        await asyncio.sleep(0)
        revision = await store.commit([put("a")])
        await store.commit([Delete("apps/a")])
        found = await waiting
        assert (found.revision, "a" in found.apps, "a" in mirror.facts.apps) == (revision, True, False)


async def test_what_until_asks_may_fail() -> None:
    def asked(facts: Facts) -> bool:
        return facts.apps["a"].created == 1

    store = MemoryStore()
    async with open_mirror(store) as mirror:
        with pytest.raises(KeyError):
            await mirror.until(asked, LIMIT)
        await mirror.reach(await store.commit([put("a", 2)]))
        waiting = asyncio.create_task(mirror.until(asked, LIMIT))
        await asyncio.sleep(0)
        await store.commit([Delete("apps/a")])
        with pytest.raises(KeyError):
            await waiting


async def test_photos_of_tables_are_those_in_which_they_have_changed() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        photos = mirror.photos("formations", "hosts")
        assert not (await anext(photos)).apps
        coming = asyncio.ensure_future(anext(photos))
        await mirror.reach(await store.commit([put("a")]))
        await asyncio.sleep(0.01)
        assert not coming.done()
        await store.commit([Put(keys.formation("a"), encode(Formation(app="a", counts={"web": 1})))])
        assert (await coming).formations["a"].counts == {"web": 1}
        await photos.aclose()  # type: ignore[attr-defined]


async def test_photos_give_the_newest() -> None:
    store = MemoryStore()
    async with open_mirror(store) as mirror:
        photos = mirror.photos()
        assert (await anext(photos)).apps == {}
        for name in "abc":
            await mirror.reach(await store.commit([put(name)]))
        assert sorted((await anext(photos)).apps) == ["a", "b", "c"]
        await photos.aclose()  # type: ignore[attr-defined]


async def test_a_change_is_refused_at_once_while_the_store_is_known_to_be_away() -> None:
    line = Line(MemoryStore())
    async with open_mirror(line) as mirror:
        line.cut()
        async with asyncio.timeout(LIMIT):
            while mirror.stale_since is None:
                await asyncio.sleep(0.01)
        decided: list[Facts] = []

        def decide(facts: Facts) -> Change:
            decided.append(facts)
            return Change()

        with pytest.raises(Unavailable, match="does not answer now"):
            await carry_out(line, mirror, decide)
        assert not decided
        line.mend()
        async with asyncio.timeout(LIMIT):
            while mirror.stale_since is not None:
                await asyncio.sleep(0.01)
        await carry_out(line, mirror, decide)
        assert decided


class Late(Line):
    """A line on which no commit is heard of until it is `asked`, and then one some time after the other."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
        async with super().watch(prefix, after) as batches:
            yield self._late(batches)

    async def _late(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            await self.asked.wait()
            await asyncio.sleep(0.01)
            yield batch


async def test_a_refused_change_is_decided_anew_on_what_held_it_up_however_late_that_comes(store: Store) -> None:
    seen: list[float] = []
    late = Late(store)

    def decide(facts: Facts) -> Change:
        late.asked.set()
        seen.append(facts.apps["a"].created)
        return Change(puts={keys.app("a"): App(name="a", created=facts.apps["a"].created + 100)})

    await store.commit([put("a", 0.0)])
    async with open_mirror(late) as mirror:
        for number in range(1, 21):
            await store.commit([put("a", float(number))])
        facts = await carry_out(store, mirror, decide)
    assert seen == [0.0, 20.0]
    assert facts.apps["a"].created == 120.0


async def test_also_on_what_removed_it(store: Store) -> None:
    seen: list[bool] = []
    late = Late(store)

    def decide(facts: Facts) -> Change:
        late.asked.set()
        seen.append("a" in facts.apps)
        return Change(puts={keys.app("b"): App(name="b", created=1.0)}, seen=(keys.app("a"),))

    await store.commit([put("a", 0.0)])
    async with open_mirror(late) as mirror:
        for number in range(1, 11):
            await store.commit([put(f"other-{number}")])
        await store.commit([Delete(keys.app("a"))])
        await carry_out(store, mirror, decide)
    assert seen == [True, False]


async def test_a_fence_that_is_down_ends_it_at_once(store: Store) -> None:
    decided: list[Facts] = []

    def decide(facts: Facts) -> Change:
        decided.append(facts)
        return Change(puts={keys.app("a"): App(name="a", created=1.0)})

    async with open_mirror(store) as mirror:
        with pytest.raises(Conflict, match="elections/x was changed"):
            await persist(store, mirror, decide, [Unchanged("elections/x", 1)])
    assert len(decided) == 1
    assert await store.get(keys.app("a")) is None


async def test_past_gives_up_and_shows_what_there_is() -> None:
    async with open_mirror(MemoryStore()) as mirror:
        for refused in (Conflict("x"), Conflict("x", key="apps/a", revision=0), Conflict("x", key="", revision=9)):
            assert await mirror.past(mirror.facts, refused, 0.01) is mirror.facts

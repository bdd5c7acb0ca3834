"""Many changes in few commits: what is left is what would be left had each been committed alone, in its turn."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.core.bulk import AT_ONCE, bundles, commit_all
from flynn.core.change import Change, commit
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.model import App
from flynn.core.store import COMMIT_LIMIT, GUARD_LIMIT, Op, Put, Unchanged

FENCE = "elections/x"
KEYS = [f"apps/{name}" for name in "abcdef"]


def app(name: str, release: int) -> App:
    return App(name=name, created=1.0, release=release)


@dataclass
class Store(MemoryStore):
    """One that can be slow, conflict at random though nothing has changed, or go away."""

    chance: random.Random | None = None
    slow: bool = False
    commits: list[int] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    fails_after: int = 1_000_000

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(20 if self.slow else 0):
                await asyncio.sleep(0)
            if len(self.commits) >= self.fails_after:
                raise Unavailable("gone")
            if self.chance and self.chance.random() < 0.3:
                raise Conflict("someone was faster")
            self.commits.append(len(ops))
            return await super().commit(ops, guards)
        finally:
            self.under_way -= 1


async def facts_of(store: MemoryStore) -> Facts:
    found = await store.range()
    return Facts.fresh(found.items, found.revision)


def values(facts: Facts) -> dict[str, Any]:
    return {key: facts.get(key) for key in KEYS}


CHANGES = st.lists(
    st.builds(
        lambda puts, deletes, seen: Change(
            puts={key: app(key.partition("/")[2], number) for key, number in puts.items()},
            deletes=tuple(key for key in deletes if key not in puts),
            seen=tuple(seen),
        ),
        st.dictionaries(st.sampled_from(KEYS), st.integers(1, 9), max_size=2),
        st.sets(st.sampled_from(KEYS), max_size=2),
        st.sets(st.sampled_from(KEYS), max_size=2),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(CHANGES, st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS), max_size=2), st.booleans())
def test_it_leaves_what_single_commits_leave(
    changes: list[Change], first: set[str], moved_on: set[str], slow: bool
) -> None:
    """Also when some of the facts have changed since the photo."""

    async def run(bulk: bool) -> tuple[dict[str, Any], int]:
        store = Store(slow=slow)
        for key in sorted(first):
            await store.commit([Put(key, encode(app("first", 0)))])
        facts = await facts_of(store)
        for key in sorted(moved_on):
            await store.commit([Put(key, encode(app("later", 0)))])
        if bulk:
            outcome = await commit_all(store, facts, changes)
            assert len(outcome.done) + len(outcome.overtaken) == len(changes)
            done = len(outcome.done)
        else:
            done = sum([await _alone(store, facts, change) for change in changes])
        return values(await facts_of(store)), done

    assert asyncio.run(run(True)) == asyncio.run(run(False))


async def _alone(store: MemoryStore, facts: Facts, change: Change) -> bool:
    try:
        await commit(store, facts, change)
    except Conflict:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(0, 1000))
def test_conflicts_at_random_double_nothing_and_lose_nothing(count: int, seed: int) -> None:
    """What is said to be done is done, once; what is said to be overtaken is not."""

    async def run() -> None:
        store = Store(chance=random.Random(seed), slow=True)
        changes = [Change(puts={f"apps/n{n}": app(f"n{n}", 1)}, why=str(n)) for n in range(count)]
        outcome = await commit_all(store, Facts(), changes)
        facts = await facts_of(store)
        assert {f"n{change.why}" for change in outcome.done} == set(facts.apps)
        assert len(outcome.done) + len(outcome.overtaken) == count
        assert all(stamp.created == stamp.revision for stamp in facts.stamps.get("apps", {}).values())

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60)), max_size=30))
def test_bundles_keep_the_limits_and_the_order(sizes: list[tuple[int, int]]) -> None:
    changes = [
        Change(
            puts={f"apps/{n}-{m}": app("x", 1) for m in range(puts)},
            seen=tuple(f"hosts/{n}-{m}" for m in range(seen)),
        )
        for n, (puts, seen) in enumerate(sizes)
    ]
    made = list(bundles(Facts(), changes, 1))
    assert [change for bundle in made for change in bundle.changes] == changes
    assert all(len(bundle.ops) <= COMMIT_LIMIT for bundle in made)
    assert all(len(bundle.guards) + 1 <= GUARD_LIMIT for bundle in made)
    assert all(not bundle.after for bundle in made)


def test_what_was_decided_on_what_another_changes_is_never_done_with_it() -> None:
    first = Change(puts={"apps/a": app("a", 1)})
    second = Change(puts={"apps/b": app("b", 1)}, seen=("apps/a",))
    third = Change(puts={"apps/c": app("c", 1)})
    made = list(bundles(Facts(), [first, second, third]))
    assert [bundle.changes for bundle in made] == [[first], [second, third]]
    assert made[1].after == {0}


async def test_what_may_go_together_goes_together_and_several_at_once() -> None:
    store = Store(slow=True)
    changes = [Change(puts={f"apps/n{n}": app("x", 1)}) for n in range(20 * COMMIT_LIMIT)]
    told: list[int] = []
    outcome = await commit_all(store, Facts(), changes, tell=lambda done: told.append(len(done)))
    assert (len(outcome.done), outcome.revision) == (20 * COMMIT_LIMIT, 20)
    assert told == store.commits == [COMMIT_LIMIT] * 20
    assert store.most == AT_ONCE


async def test_one_that_was_overtaken_costs_one_more_commit() -> None:
    store = Store()
    await store.commit([Put("apps/n17", encode(app("x", 9)))])
    store.commits.clear()
    outcome = await commit_all(store, Facts(), [Change(puts={f"apps/n{n}": app("x", 1)}) for n in range(50)])
    assert (len(outcome.done), len(outcome.overtaken)) == (49, 1)
    assert store.commits == [50, 49]


async def test_nothing_is_done_without_the_fence_and_it_is_tried_once() -> None:
    store = Store()
    held = await store.commit([Put(FENCE, b"{}")])
    await store.commit([Put(FENCE, b"{}")])
    store.commits.clear()
    changes = [Change(puts={f"apps/n{n}": app("x", 1)}) for n in range(50 * COMMIT_LIMIT)]
    outcome = await commit_all(store, Facts(), changes, [Unchanged(FENCE, held)])
    assert outcome.fenced
    assert (len(outcome.done), len(outcome.overtaken)) == (0, len(changes))
    assert len(store.commits) <= AT_ONCE
    assert not (await facts_of(store)).apps


async def test_a_store_that_goes_away_ends_it_and_what_was_done_stays() -> None:
    store = Store(slow=True, fails_after=3)
    with pytest.raises(Unavailable):
        await commit_all(store, Facts(), [Change(puts={f"apps/n{n}": app("x", 1)}) for n in range(900)])
    assert len((await facts_of(store)).apps) == 3 * COMMIT_LIMIT


async def test_what_is_too_large_to_be_written_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    large = Change(puts={"apps/large": App(name="large", created=1.0, env={"A": "x" * 2**21})}, why="large")
    changes = [Change(puts={f"apps/n{n}": app("x", 1)}) for n in range(5)]
    outcome = await commit_all(Store(), Facts(), [*changes[:2], large, *changes[2:]])
    assert (outcome.done, outcome.overtaken) == (changes, [large])
    assert "large cannot be written" in caplog.text

"""The daemon's lease, over every engine."""

import asyncio
from collections.abc import Sequence

import pytest

from flynn.core import keys
from flynn.core.errors import Invalid, NotFound
from flynn.core.lease import open_lease
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.model import App, Build, Host, Leader
from flynn.core.store import COMMIT_LIMIT, VALUE_LIMIT, Op, Put, Store, Unchanged
from tests.core.outage import Line

LIMIT = 15.0


def host(name: str = "a", memory: int = 1) -> Host:
    return Host(name=name, address="127.0.0.1", url="http://127.0.0.1:1", started=1.0, memory=memory)


async def test_a_leased_fact_is_held_and_let_go(store: Store, ttl: float) -> None:
    async with open_mirror(store) as mirror, open_lease(store, ttl) as lease:
        assert lease.valid()
        facts = await mirror.reach(await lease.put(keys.host("a"), host()))
        assert facts.hosts == {"a": host()}
        assert lease.holds(keys.host("a"))
        facts = await mirror.reach(await lease.delete(keys.host("a")))
        assert facts.hosts == {}
        await mirror.reach(await lease.delete(keys.host("a")), LIMIT)


async def test_facts_live_longer_than_the_ttl_while_the_daemon_does(store: Store, ttl: float) -> None:
    async with open_mirror(store) as mirror, open_lease(store, ttl) as lease:
        await mirror.reach(await lease.put(keys.host("a"), host()))
        with pytest.raises(TimeoutError):
            await mirror.until(lambda facts: not facts.hosts, 1.8 * ttl)
        assert lease.valid()


async def test_what_is_not_leased_stays(store: Store, ttl: float) -> None:
    async with open_mirror(store) as mirror:
        async with open_lease(store, ttl) as lease:
            await lease.put(keys.host("a"), host())
            await mirror.reach(await lease.put(keys.app("b"), App(name="b", created=1.0), leased=False))
            assert lease.holds(keys.host("a"))
            assert not lease.holds(keys.app("b"))
        assert mirror.facts.hosts
        facts = await mirror.until(lambda facts: not facts.hosts, LIMIT)
        assert list(facts.apps) == ["b"]


async def test_leased_facts_return_after_the_lease_was_lost(store: Store, ttl: float) -> None:
    async with open_mirror(store) as mirror, open_lease(store, ttl) as lease:
        await mirror.reach(await lease.put(keys.host("a"), host()))
        await mirror.reach(await lease.put(keys.app("b"), App(name="b", created=1.0), leased=False))
        await mirror.reach(await store.commit([Put(keys.app("b"), b"{}")]))
        before = lease.id
        await store.revoke(lease.id)
        await mirror.until(lambda f: not f.hosts, LIMIT)
        await mirror.until(lambda f: f.hosts == {"a": host()}, LIMIT)
        assert lease.id != before
        assert lease.valid()
        item = await store.get(keys.app("b"))
        assert item is not None
        assert item.value == b"{}", "what is not leased must not be written again"
        with pytest.raises(NotFound):
            await store.renew(before)


async def test_writes_wait_through_an_outage_and_the_newest_wins(store: Store) -> None:
    line = Line(store)
    async with open_mirror(store) as mirror, open_lease(line, 600) as lease:
        await mirror.reach(await lease.put(keys.host("a"), host(memory=1)))
        line.cut()
        puts = [asyncio.create_task(lease.put(keys.host("a"), host(memory=n))) for n in range(2, 6)]
        gone = asyncio.create_task(lease.put(keys.host("b"), host("b")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait(puts, timeout=0.2)
        assert not any(task.done() for task in puts)
        line.mend()
        async with asyncio.timeout(LIMIT):
            revisions = await asyncio.gather(*puts)
        facts = await mirror.reach(max(revisions))
        assert facts.hosts["a"].memory == 5


async def test_an_outage_ends_the_validity_and_the_lease_is_taken_anew(store: Store, ttl: float) -> None:
    line = Line(store)
    async with open_mirror(store) as mirror, open_lease(line, ttl) as lease:
        await mirror.reach(await lease.put(keys.host("a"), host()))
        line.cut()
        async with asyncio.timeout(LIMIT):
            while lease.valid():
                await asyncio.sleep(0.05)
        await mirror.until(lambda facts: not facts.hosts, LIMIT)
        line.mend()
        await mirror.until(lambda facts: bool(facts.hosts), LIMIT)
        assert lease.valid()


async def test_many_and_large_facts_go_in_several_commits(store: Store) -> None:
    async with open_mirror(store) as mirror, open_lease(store, 600) as lease:
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*(lease.put(keys.host(f"h{n}"), host(f"h{n}")) for n in range(2 * COMMIT_LIMIT + 5)))
            await asyncio.gather(*(lease.put(keys.build(f"b{n}", 1), build("x" * 400_000)) for n in range(6)))
        await mirror.until(lambda f: len(f.builds) == 6 and len(f.hosts) == 2 * COMMIT_LIMIT + 5, LIMIT)


async def test_what_is_leased_is_written_before_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to write, and whatever was to be written first."""
    store, written = MemoryStore(), list[list[str]]()
    commit = store.commit

    async def noted(ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        written.append([op.key for op in ops])
        return await commit(ops, guards)

    async with open_lease(store) as lease, asyncio.timeout(LIMIT):
        monkeypatch.setattr(store, "commit", noted)
        many = [f"a{n}" for n in range(2 * COMMIT_LIMIT)]
        await asyncio.gather(
            *(lease.put(keys.app(name), App(name=name, created=1.0), leased=False) for name in many),
            lease.put(keys.host("a"), host()),
        )
    assert written[0][0] == keys.host("a")
    assert len(written) > 1


def build(reason: str) -> Build:
    return Build(app="a", job="j", source="s", started=1.0, reason=reason)


async def test_a_fact_too_large_is_refused_and_the_others_go_on() -> None:
    store = MemoryStore()
    async with open_lease(store) as lease, asyncio.timeout(LIMIT):
        with pytest.raises(Invalid, match=str(VALUE_LIMIT)):
            await lease.put(keys.build("a", 1), build("x" * VALUE_LIMIT))
        assert not lease.holds(keys.build("a", 1))
        assert await lease.put(keys.host("a"), host())


async def test_an_engine_that_refuses_does_not_end_the_lease(caplog: pytest.LogCaptureFixture) -> None:
    class Picky(MemoryStore):
        refuse = True

        async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
            if self.refuse:
                self.refuse = False
                raise Invalid("too large for this engine")
            return await super().commit(ops, guards)

    store = Picky()
    async with open_lease(store) as lease, asyncio.timeout(LIMIT):
        await lease.put(keys.election("a"), Leader(host="x"))
        assert await store.get(keys.election("a")) is not None
    assert "elections/a of this daemon cannot be written: too large" in caplog.text


async def test_what_the_daemon_before_held_lives_on_until_it_had_time_to_be_stated_anew(
    store: Store, ttl: float
) -> None:
    async with open_mirror(store) as mirror:
        async with open_lease(store, ttl) as first:
            for name in ("a", "b"):
                await first.put(keys.host(name), host(name))
        async with open_lease(store, ttl, before=first.id) as second:
            await mirror.reach(await second.put(keys.host("a"), host("a", memory=2)))
            with pytest.raises(TimeoutError):
                await mirror.until(lambda facts: len(facts.hosts) < 2, 1.8 * ttl)
            second.before_until = 0.0
            facts = await mirror.until(lambda facts: len(facts.hosts) < 2, LIMIT)
            assert facts.hosts == {"a": host("a", memory=2)}

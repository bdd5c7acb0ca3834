"""Leaders and locks, over every engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from flynn.core import keys
from flynn.core.election import Claim, locked
from flynn.core.errors import Conflict
from flynn.core.lease import NodeLease, open_lease
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.store import Put, Store
from tests.core.outage import Line

LIMIT = 15.0


@dataclass
class Node:
    """One daemon of the grid, as far as elections go, on its own line to the store."""

    host: str
    line: Line
    mirror: Mirror
    lease: NodeLease

    def claim(self, name: str = "x") -> Claim:
        return Claim(keys.election(name), self.host, self.line, self.mirror, self.lease)


@asynccontextmanager
async def nodes(store: Store, ttl: float, *hosts: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        found = []
        for host in hosts:
            line = Line(store)
            mirror = await stack.enter_async_context(open_mirror(line))
            lease = await stack.enter_async_context(open_lease(line, ttl))
            found.append(Node(host, line, mirror, lease))
        yield found


async def test_one_leader_and_a_lost_leader_cannot_write(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a", "b") as (a, b), asyncio.timeout(LIMIT):
        first, second = a.claim(), b.claim()
        await first.hold()
        standing_by = asyncio.create_task(second.hold())
        fence = first.fence
        await store.commit([Put("apps/a", b"1")], fence)
        assert first.held
        assert not second.held
        assert not standing_by.done()
        await store.revoke(a.lease.id)
        await standing_by
        await first.lost()
        assert second.held
        assert not first.held
        for stale in (fence, first.fence):
            with pytest.raises(Conflict):
                await store.commit([Put("apps/a", b"2")], stale)
        await store.commit([Put("apps/a", b"3")], second.fence)


async def test_a_fence_holds_nothing_back_but_never_passes_without_the_key(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a") as (a,), asyncio.timeout(LIMIT):
        claim = a.claim()
        with pytest.raises(Conflict):
            await store.commit([Put("apps/a", b"1")], claim.fence)
        await claim.hold()
        await store.commit([Put("apps/a", b"1")], claim.fence)
        await claim.release()
        assert not claim.held
        with pytest.raises(Conflict):
            await store.commit([Put("apps/a", b"2")], claim.fence)


async def test_one_of_many_leads_at_a_time(store: Store, ttl: float) -> None:
    leading: list[str] = []

    async def serve(node: Node) -> None:
        claim = node.claim()
        await claim.hold()
        assert not leading
        leading.append(node.host)
        await asyncio.sleep(0.05)
        assert leading == [node.host]
        leading.clear()
        await claim.release()

    async with nodes(store, ttl, "a", "b", "c", "d") as found, asyncio.timeout(2 * LIMIT):
        await asyncio.gather(*(serve(node) for node in found))


async def test_a_leader_cut_off_stops_by_itself_before_another_leads(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a", "b") as (a, b), asyncio.timeout(2 * LIMIT):
        first, second = a.claim(), b.claim()
        await first.hold()
        lost, standing_by = asyncio.create_task(first.lost()), asyncio.create_task(second.hold())
        a.line.cut()
        await lost
        assert not first.held
        assert not standing_by.done()
        await standing_by
        assert second.held
        a.line.mend()
        await a.mirror.until(lambda facts: getattr(facts.get(keys.election("x")), "host", "") == "b", LIMIT)
        assert not first.held


async def test_a_restarted_daemon_takes_its_own_key_over(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a") as (a,), asyncio.timeout(LIMIT):
        await a.claim().hold()
        async with nodes(store, ttl, "a") as (again,):
            claim = again.claim()
            await claim.hold()
            assert claim.held


async def test_a_cancelled_candidate_leaves_nothing(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a", "b") as (a, b), asyncio.timeout(2 * LIMIT):
        for rounds in range(12):
            claim = a.claim()
            holding = asyncio.create_task(claim.hold())
            for _ in range(rounds):
                await asyncio.sleep(0)
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            if not holding.cancelled():
                await claim.release()
            assert await store.get(keys.election("x")) is None
        await b.claim().hold()


async def test_a_lock_is_held_by_one_host(store: Store, ttl: float) -> None:
    async with nodes(store, ttl, "a", "b") as (a, b), asyncio.timeout(2 * LIMIT):
        async with locked("l", "a", a.line, a.mirror, a.lease, 5) as claim:
            assert claim.held
            with pytest.raises(TimeoutError):
                async with locked("l", "b", b.line, b.mirror, b.lease, 0.2):
                    pass
        async with locked("l", "b", b.line, b.mirror, b.lease, 5):
            pass
        assert await store.get(keys.lock("l")) is None

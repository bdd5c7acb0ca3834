"""A leader over an etcd of three members that fails in all ways, while orders to scale keep coming (FAULTS.md, etcd).

The API answers in time, with what was done or with words that it was not; nothing is lost or doubled; and once etcd is
there again, the grid comes to be what was asked for last. OUTAGES=full makes them as long as FAULTS.md wants them (some
20 minutes); how long it took to be well again is printed.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Conflict, Unavailable
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.facts import Facts, encode
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.records import STALE_SINCE
from flynn.core.store import TIMEOUT, Delete, Op, Put
from tests.cluster.grid import Grid, open_grid
from tests.cluster.test_leader import APP, HOSTS, TYPE, records
from tests.etcd import Cluster, Member, compact, running_etcd

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 60.0
FULL = os.environ.get("OUTAGES") == "full"

KILLED = 600 if FULL else 30
"""Seconds for which the leader of etcd is killed every ten seconds."""

LOST = 300 if FULL else 20
"""Seconds without a majority: longer than a lease lives."""

FROZEN = (5, 30, 120) if FULL else (4,)
"""Seconds for which a member is frozen, one length after the other."""

ANSWER = 2 * TIMEOUT
"""Seconds within which the API has answered, whatever etcd does: a call on the store has TIMEOUT."""

NOTICED = 10.0
"""Seconds within which a node has noticed that its store is away (docs/api.md)."""

FORMATION = f"/v1/apps/{APP}/formation"


@dataclass
class Outage:
    """The members, the daemon over them, and how the grid stands. `answers`: what the API said to each order to scale:
    status, seconds, and what was asked for."""

    cluster: Cluster
    grid: Grid
    store: EtcdStore
    mirror: Mirror
    answers: list[tuple[int, float, int]] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        """Status, headers and JSON of an answer."""
        told = json.loads((self.grid.data / "client.json").read_text())
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {told['token']}"}) as session:
            limit = aiohttp.ClientTimeout(total=LIMIT)
            async with session.request(method, told["url"] + path, json=body, timeout=limit) as response:
                return response.status, response.headers, json.loads((await response.text()).splitlines()[-1])

    async def scale(self, count: int) -> bool:
        """Order so many, and look at the answer; whether it was done."""
        began = time.monotonic()
        status, headers, told = await self.ask("PATCH", f"{FORMATION}?wait=false", {TYPE: count})
        self.answers.append((status, time.monotonic() - began, count))
        if status == 503:
            assert (told["code"], told["retry"], headers["Retry-After"]) == ("unavailable", True, "1"), told
        assert status in (200, 409, 503), told
        return status == 200

    @asynccontextmanager
    async def churning(self) -> AsyncIterator[None]:
        """Orders, one after the other, for the length of a block; then what was asked for last comes to be."""
        chance, stop = random.Random(5), asyncio.Event()

        async def order() -> None:
            while not stop.is_set():
                await self.scale(chance.randint(0, 40))
                await asyncio.sleep(0.1)

        ordering = asyncio.create_task(order(), name="orders")
        try:
            yield
        finally:
            stop.set()
            await ordering
        await self.settles()

    async def settles(self) -> None:
        """What is ordered now is done, and comes to be."""
        await self.cluster.answers()
        began = time.monotonic()
        async with asyncio.timeout(LIMIT):
            while not await self.scale(25):
                await asyncio.sleep(0.2)
            facts = await self.mirror.until(lambda facts: len(up(facts)) == 25 and not facts.queues, LIMIT)
        ids = [a.job.id for a in facts.jobs.values()]
        assert len(ids) == len(set(ids))
        slowest = max(seconds for _, seconds, _ in self.answers)
        print(
            f"well again within {time.monotonic() - began:.1f} s; {len(self.answers)} orders, slowest {slowest:.1f} s"
        )
        assert slowest < ANSWER, self.answers


def up(facts: Facts) -> list[str]:
    states = facts.states
    return [key for key, a in facts.jobs.items() if not a.stop and key in states and states[key].state == "up"]


async def obey(mirror: Mirror, store: EtcdStore) -> None:
    """What the hosts do: start what they are given, end what shall stop, forget what has ended. For ever."""
    while True:
        facts = mirror.facts
        if ops := obeyed(facts):
            with suppress(Unavailable, Conflict):
                await store.commit(ops)
        await asyncio.sleep(0.05)


def obeyed(facts: Facts) -> list[Op]:
    ops: list[Op] = []
    for key, a in facts.jobs.items():
        now = facts.states.get(key)
        told = model.JobState(
            id=a.job.id, app=APP, type=TYPE, queue="services", release=1, host=a.host, state="up", since=1.0,
            created=a.job.created,
        )  # fmt: skip
        if a.stop and not (now and now.state == "down"):
            ops.append(Put(f"states/{key}", encode(replace(told, state="down"))))
        elif now is None:
            ops.append(Put(f"states/{key}", encode(told)))
    ops += [Delete(f"states/{key}") for key in facts.states if key not in facts.jobs]
    return ops[:100]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outage(any_etcd: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outage]:
    work = tmp_path_factory.mktemp("outages")
    async with running_etcd(any_etcd, work / "etcd", 3) as cluster, open_etcd(cluster.urls) as store:
        await store.commit([Put(key, encode(record)) for key, record in records().items()])
        assert len(HOSTS) == 3
        told = ["--etcd", ",".join(cluster.urls), "--bricks", "controller", "--name", "a"]
        async with open_grid(*told) as grid, open_mirror(store) as mirror:
            hosts = asyncio.create_task(obey(mirror, store), name="hosts")
            try:
                yield Outage(cluster, grid, store, mirror)
            finally:
                hosts.cancel()
                await asyncio.gather(hosts, return_exceptions=True)


@pytest.fixture(autouse=True)
def fresh(outage: Outage) -> None:
    outage.answers.clear()


async def test_the_leader_of_etcd_is_killed_every_ten_seconds(outage: Outage) -> None:
    async with outage.churning():
        for _ in range(KILLED // 10):
            leader = await outage.cluster.leader()
            await leader.kill()
            await asyncio.sleep(5)
            await leader.start()
            await asyncio.sleep(5)
            await outage.cluster.answers()
    done = [count for status, _, count in outage.answers if status == 200]
    assert len(done) > KILLED / 2, "most of the time etcd has a leader"


async def test_a_majority_is_lost(outage: Outage) -> None:
    """The leader stands by, what it told to run stays, and each order that was not done has changed nothing, or has
    been done after all."""
    await outage.settles()
    before = set(up(outage.mirror.facts))
    async with lost(outage.cluster.members[:2]):
        refused = [await outage.scale(number) for number in (3, 4, 5)]
        assert refused == [False] * 3
        await asyncio.sleep(LOST)
        assert not await outage.scale(6)
        status, headers, told = await outage.ask("GET", FORMATION)
        assert (status, told) == (200, {TYPE: 25}), "what is known is told"
        assert time.time() - float(headers[STALE_SINCE]) > LOST - NOTICED, "and since when it is old"
    await outage.cluster.answers()
    facts = await outage.mirror.until(lambda facts: len(up(facts)) in (25, 3, 4, 5, 6) and not facts.queues, LIMIT)
    if facts.formations[APP].counts == {TYPE: 25}:
        assert set(up(facts)) == before
    await outage.settles()


async def test_a_member_is_frozen(outage: Outage) -> None:
    """Its connections stay open, and nobody answers there: the leader of etcd, then another."""
    async with outage.churning():
        for seconds in FROZEN:
            leader = await outage.cluster.leader()
            for member in (leader, other_than(outage.cluster, leader)):
                member.freeze()
                await asyncio.sleep(seconds)
                member.thaw()
                await outage.cluster.answers()


async def test_all_members_are_started_anew(outage: Outage) -> None:
    async with outage.churning():
        for member in outage.cluster.members:
            await member.kill()
        for member in outage.cluster.members:
            await member.start()
        await outage.cluster.answers()


async def test_etcd_forgets_what_the_leader_has_not_seen_yet(outage: Outage) -> None:
    """Its watch breaks, and what it would go on from is compacted away: it reads all afresh."""
    await outage.settles()
    process, afresh = outage.grid.process, outage.grid.tail(1 << 24).count("has dropped revision")
    assert process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for member in outage.cluster.members:
            await member.kill()
            await member.start()
        await outage.cluster.answers()
        await put(outage.store, 7)
        await compact(outage.store, await put(outage.store, 9))
    finally:
        os.kill(process.pid, signal.SIGCONT)
    await outage.mirror.until(lambda facts: len(up(facts)) == 9 and not facts.queues, LIMIT)
    assert outage.grid.tail(1 << 24).count("has dropped revision") == afresh + 1
    await outage.settles()


async def put(store: EtcdStore, count: int) -> int:
    """Write a formation past the API, as soon as etcd takes it."""
    formation = model.Formation(app=APP, counts={TYPE: count})
    while True:
        with suppress(Unavailable):
            return await store.commit([Put(keys.formation(APP), encode(formation))])
        await asyncio.sleep(0.2)


@asynccontextmanager
async def lost(members: Sequence[Member]) -> AsyncIterator[None]:
    """They are dead for the length of a block."""
    for member in members:
        await member.kill()
    try:
        yield
    finally:
        for member in members:
            await member.start()


def other_than(cluster: Cluster, leader: Member) -> Member:
    return next(member for member in cluster.members if member is not leader)

"""Two daemons on one etcd: one leads, the other takes over when it is gone, and one that wakes up writes nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.errors import Conflict
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.facts import Facts, encode
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.store import Put, Unchanged
from tests.cluster.grid import Grid, open_grid
from tests.etcd import running_etcd

LIMIT = 60.0
ELECTION = keys.election("controller")
APP, TYPE = "hello", "worker"
HOSTS = ("sim-1", "sim-2", "sim-3")
"""Hosts that take what they are given and say nothing of it: their records are all there is of them."""


@dataclass
class Pair:
    """Two daemons with nothing but the controller, and the store that both are on."""

    store: EtcdStore
    mirror: Mirror
    grids: dict[str, Grid]

    @property
    def leader(self) -> str:
        found = self.mirror.facts.get(ELECTION)
        return found.host if isinstance(found, model.Leader) else ""

    def other(self, name: str) -> str:
        return next(other for other in self.grids if other != name)

    async def leads(self, *names: str) -> str:
        """Wait until one of these leads: its name."""
        await self.mirror.until(lambda facts: self.leader in names, LIMIT)
        return self.leader

    async def scale(self, count: int) -> None:
        record = model.Formation(app=APP, counts={TYPE: count})
        await self.store.commit([Put(keys.formation(APP), encode(record))])

    async def assigned(self, count: int) -> Facts:
        """Wait until so many jobs of the app have a host and shall run."""
        return await self.mirror.until(lambda facts: len(live(facts)) == count and not facts.queues, LIMIT)

    def signal(self, name: str, number: signal.Signals) -> None:
        process = self.grids[name].process
        assert process
        os.kill(process.pid, number)

    def commits(self, name: str) -> list[str]:
        """What this daemon says that it has committed as the leader."""
        lines = self.grids[name].tail(1 << 20).splitlines()
        return [line for line in lines if "controller" in line and f"{APP}-{TYPE}-" in line]

    async def commits_more(self, name: str, than: int = 0) -> None:
        """Wait until it says so: it does once it has heard of its commit, which may be later than others see that."""
        await self.grids[name].until(lambda: _later(len(self.commits(name)) > than), LIMIT, f"{name} commits")

    def stands_by(self, name: str) -> int:
        """How many times it has begun to stand by."""
        return self.grids[name].tail(1 << 20).count("stands by for the leader")


def live(facts: Facts) -> list[str]:
    return [a.job.id for a in facts.jobs.values() if not a.stop]


def records() -> dict[str, model.Record]:
    process = model.ProcessType(command="run")
    slug = model.Artifact(sha256="a" * 64)
    release = model.Release(app=APP, version=1, created=1.0, artifact=slug, processes={TYPE: process})
    found: dict[str, model.Record] = {
        keys.app(APP): model.App(name=APP, created=1.0, release=1),
        keys.release(APP, 1): release,
        keys.formation(APP): model.Formation(app=APP, counts={TYPE: 0}),
    }
    for name in HOSTS:
        found[keys.host(name)] = model.Host(
            name=name, address="127.0.0.1", url="http://127.0.0.1:1", started=1.0, memory=65536, cpus=64
        )
    return found


@asynccontextmanager
async def open_pair(binary: str, work: Path) -> AsyncIterator[Pair]:
    async with running_etcd(binary, work / "etcd") as cluster, open_etcd(cluster.urls) as store:
        await store.commit([Put(key, encode(record)) for key, record in records().items()])
        told = ["--etcd", *cluster.urls, "--bricks", "controller"]
        async with open_grid(*told, "--name", "a") as a, open_grid(*told, "--name", "b") as b:
            async with open_mirror(store) as mirror:
                yield Pair(store, mirror, {"a": a, "b": b})


@pytest.fixture
async def pair(any_etcd: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_pair(any_etcd, tmp_path) as opened:
        yield opened


async def test_only_the_leader_plans_and_the_second_takes_over_when_it_is_killed(pair: Pair) -> None:
    first = await pair.leads("a", "b")
    second = pair.other(first)
    await pair.scale(5)
    before = set(live(await pair.assigned(5)))
    await pair.commits_more(first)
    assert not pair.commits(second)
    await pair.grids[first].kill()
    await pair.scale(8)
    await pair.leads(second)
    after = live(await pair.assigned(8))
    assert before < set(after)
    assert len(set(after)) == len(after) == 8
    await pair.commits_more(second)


async def test_one_that_is_stopped_is_succeeded_and_writes_nothing_when_it_wakes(pair: Pair) -> None:
    """It is stopped with work before it that it has not seen: what it makes of that is for nothing."""
    first = await pair.leads("a", "b")
    second = pair.other(first)
    await pair.scale(5)
    await pair.assigned(5)
    await pair.commits_more(first)
    claim = pair.mirror.facts.unchanged(ELECTION)
    written, stood_by = len(pair.commits(first)), pair.stands_by(first)
    pair.signal(first, signal.SIGSTOP)
    try:
        await pair.scale(9)
        await pair.leads(second)
        await pair.assigned(9)
        await pair.scale(2)
    finally:
        pair.signal(first, signal.SIGCONT)
    await pair.grids[first].until(lambda: _later(pair.stands_by(first) > stood_by), LIMIT, f"{first} stands by")
    await pair.assigned(2)
    assert len(pair.commits(first)) == written
    with pytest.raises(Conflict) as refused:
        await pair.store.commit([Put(keys.app("other"), b"{}")], [claim])
    assert refused.value.detail["key"] == ELECTION
    await pair.grids[second].kill()
    await pair.leads(first)
    await pair.scale(4)
    await pair.assigned(4)
    await pair.commits_more(first, written)


async def test_without_etcd_nothing_is_decided_and_with_it_all_goes_on(any_etcd: str, tmp_path: Path) -> None:
    """All members are frozen for longer than a lease lives: jobs stay as they are, and nothing is doubled after."""
    async with running_etcd(any_etcd, tmp_path / "etcd") as cluster, open_etcd(cluster.urls) as store:
        await store.commit([Put(key, encode(record)) for key, record in records().items()])
        told = ["--etcd", *cluster.urls, "--bricks", "controller"]
        async with open_grid(*told, "--name", "a") as grid, open_mirror(store) as mirror:
            pair = Pair(store, mirror, {"a": grid})
            await pair.leads("a")
            await pair.scale(6)
            jobs = set(live(await pair.assigned(6)))
            for member in cluster.members:
                member.freeze()
            stood_by = pair.stands_by("a")
            await grid.until(lambda: _later(pair.stands_by("a") > stood_by), LIMIT, "it leads no more")
            for member in cluster.members:
                member.thaw()
            await cluster.answers()
            await pair.leads("a")
            await pair.scale(7)
            after = live(await pair.assigned(7))
            assert jobs < set(after)
            assert len(after) == 7


async def test_a_claim_of_before_commits_nothing(any_etcd: str, tmp_path: Path) -> None:
    """As the leader's commits carry it: the revision of its own election, and no other."""
    async with running_etcd(any_etcd, tmp_path / "etcd") as cluster, open_etcd(cluster.urls) as store:
        first = await store.commit([Put(ELECTION, encode(model.Leader(host="a")))])
        await store.commit([Put(ELECTION, encode(model.Leader(host="b")))])
        second = await store.commit([Put(ELECTION, encode(model.Leader(host="a")))])
        with pytest.raises(Conflict):
            await store.commit([Put(keys.app("x"), b"{}")], [Unchanged(ELECTION, first)])
        await store.commit([Put(keys.app("x"), b"{}")], [Unchanged(ELECTION, second)])


async def _later(seen: bool) -> bool:
    await asyncio.sleep(0)
    return seen

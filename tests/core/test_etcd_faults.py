"""The store over etcd while etcd is killed, frozen and started again: each commit happens once or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from flynn.core import keys
from flynn.core.errors import Conflict, Unavailable
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.etcd_rpc import rpc
from flynn.core.facts import encode
from flynn.core.lease import open_lease
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.model import Grid, Leader
from flynn.core.store import TIMEOUT, Delete, Put, Store, Unchanged
from tests.etcd import Cluster, compact, running_etcd

LIMIT = 40.0
"""Seconds after which a test gives up waiting for etcd to come back."""


@pytest.fixture
async def single(any_etcd: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_etcd(any_etcd, tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def three(any_etcd: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_etcd(any_etcd, tmp_path, 3) as cluster:
        yield cluster


class Writer:
    """Appends its own numbers to a list in the store, one commit each, and keeps what it was told of each."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.key = store, f"lists/{name}"
        self.acknowledged: list[int] = []
        self.failed: list[int] = []
        self.number = 0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.number += 1
            await self.append(self.number)

    async def append(self, number: int) -> None:
        """Append without a guard but that on the list itself, as it was when the number was first tried."""
        try:
            item = await self.store.get(self.key)
            value = (item.value if item else b"") + b"%d " % number
            await self.store.commit([Put(self.key, value)], [Unchanged(self.key, item.revision if item else 0)])
        except Unavailable:
            self.failed.append(number)
        else:
            self.acknowledged.append(number)

    async def check(self) -> None:
        """What was acknowledged is there, once; what was told to have failed is not. Nobody else writes the list."""
        item = await self.store.get(self.key)
        found = [int(word) for word in item.value.split()] if item else []
        assert found == self.acknowledged
        assert not set(found) & set(self.failed)


class Blind(Writer):
    """Adds keys without any guard: a doubled or late commit would show as a second revision of a key."""

    async def append(self, number: int) -> None:
        try:
            revision = await self.store.commit([Put(f"{self.key}/{number:06}", b"%d" % number)])
        except Unavailable:
            self.failed.append(number)
        else:
            self.acknowledged.append(number)
            item = await self.store.get(f"{self.key}/{number:06}") if number % 20 == 0 else None
            assert item is None or item.revision == revision

    async def check(self) -> None:
        items = (await self.store.range(self.key + "/")).items
        assert [int(item.value) for item in items] == self.acknowledged
        assert all(item.created == item.revision for item in items)


class TestExactlyOnce:
    async def test_through_a_freeze_of_three_seconds(self, single: Cluster) -> None:
        async with open_etcd(single.urls) as store:
            writers = await _write_through(store, _freeze(single, 3.0))
        assert all(writer.failed == [] for writer in writers)

    async def test_through_a_freeze_longer_than_the_limit(self, single: Cluster) -> None:
        """The commits in doubt are settled when etcd returns; those after them fail without having been sent."""
        async with open_etcd(single.urls) as store:
            start = await store.commit([Put("k", b"0")])
            async with store.watch("", start) as batches:
                single.members[0].freeze()
                began = asyncio.get_running_loop().time()
                watching = asyncio.ensure_future(anext(batches))
                with pytest.raises(Unavailable, match="cannot be told"):
                    await store.commit([Put("k", b"1")])
                with pytest.raises(Unavailable, match="gave no answer"):
                    await store.commit([Put("k", b"2")])
                assert asyncio.get_running_loop().time() - began < 2 * TIMEOUT + 5
                assert watching.done()
                with pytest.raises(Unavailable, match="silent"):
                    watching.result()
            single.members[0].thaw()
            async with asyncio.timeout(LIMIT):
                await asyncio.gather(*store.lanes._settling)
            settled = await store.get("k")
            assert settled is not None
            assert settled.value in (b"0", b"1")
            await store.commit([Put("end", b"")])
            assert await store.get("k") == settled

    async def test_through_the_death_of_the_leader(self, three: Cluster) -> None:
        async with open_etcd(three.urls) as store:
            await _write_through(store, _kill_the_leader(three))

    async def test_through_a_freeze_of_the_leader(self, three: Cluster) -> None:
        leader = await three.leader()
        urls = [leader.url, *(url for url in three.urls if url != leader.url)]
        async with open_etcd(urls) as store:

            async def freeze() -> None:
                leader.freeze()
                await asyncio.sleep(4)
                leader.thaw()

            await _write_through(store, freeze())

    async def test_a_late_commit_is_fenced(self, single: Cluster) -> None:
        """Settle a commit that was never sent, then send it: it must not happen any more."""
        async with open_etcd(single.urls) as store:
            await store.commit([Put("k", b"0")])
            lanes = store.lanes
            lane = await lanes._take(asyncio.get_running_loop().time() + TIMEOUT)
            mark = rpc.RequestOp(request_put=rpc.PutRequest(key=lane.key, value=b"nonce", ignore_lease=True))
            put = rpc.RequestOp(request_put=rpc.PutRequest(key=b"/flynn/v1/k", value=b"late"))
            compare = rpc.Compare(
                result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=lane.key, mod_revision=lane.revision
            )
            late = rpc.TxnRequest(compare=[compare], success=[mark, put])
            limit = asyncio.get_running_loop().time() + TIMEOUT
            assert not await lanes._settle(lane, b"nonce", limit)
            assert not await lanes._settle(lane, b"nonce", limit)
            answer = await store.link.call(lambda e, t: e.kv.Txn(late, timeout=t))
            assert not answer.succeeded
            lanes._drop()
            assert [item.value for item in (await store.range("k")).items] == [b"0"]

    async def test_a_commit_that_happened_is_found_with_its_revision(self, single: Cluster) -> None:
        async with open_etcd(single.urls) as store:
            revision = await store.commit([Put("k", b"0")])
            lanes = store.lanes
            limit = asyncio.get_running_loop().time() + TIMEOUT
            lane = await lanes._take(limit)
            nonce = (await store.link.call(lambda e, t: e.kv.Range(rpc.RangeRequest(key=lane.key), timeout=t))).kvs[0]
            lane.revision -= 1
            assert await lanes._settle(lane, nonce.value, limit)
            assert lane.revision == revision
            lanes._give_back(lane)


class TestOutages:
    async def test_a_mirror_and_a_lease_live_through_a_restart(self, single: Cluster) -> None:
        member = single.members[0]
        async with open_etcd(single.urls) as store, open_mirror(store) as mirror, open_lease(store) as lease:
            await mirror.reach(await lease.put(keys.election("a"), Leader(host="a")))
            await member.kill()
            async with asyncio.timeout(LIMIT):
                while mirror.stale_since is None:
                    await asyncio.sleep(0.05)
            assert mirror.facts.tables["elections"]
            await member.start()
            await single.answers()
            revision = await store.commit([Put(keys.GRID, encode(Grid(token="t", domain="d")))])
            await mirror.reach(revision, LIMIT)
            assert mirror.stale_since is None
            assert mirror.facts.grid
            assert "a" in mirror.facts.tables["elections"]

    async def test_a_mirror_reads_afresh_when_its_revision_is_gone(
        self, single: Cluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        async with open_etcd(single.urls) as store:
            old = await store.commit([Put(keys.election("old"), encode(Leader(host="a")))])
            mirror = Mirror(store)
            await mirror.load()
            await store.commit([Delete(keys.election("old"))])
            new = await store.commit([Put(keys.GRID, encode(Grid(token="t", domain="d")))])
            await compact(store, new)
            following = asyncio.create_task(mirror.follow())
            await mirror.reach(new, LIMIT)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert mirror.facts.grid
        assert not mirror.facts.tables.get("elections")
        assert f"dropped revision {old}" in caplog.text

    async def test_without_a_majority_calls_fail_in_time_and_then_work_again(self, three: Cluster) -> None:
        async with open_etcd(three.urls) as store:
            before = await store.commit([Put("k", b"1")])
            async with store.watch("", before) as batches:
                for member in three.members[:2]:
                    await member.kill()
                with pytest.raises(Unavailable):
                    async with asyncio.timeout(15):
                        await anext(batches)
            began = asyncio.get_running_loop().time()
            calls = [store.get("k"), store.commit([Put("k", b"2")]), store.grant(5)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [Unavailable] * 3
            assert asyncio.get_running_loop().time() - began < TIMEOUT + 5
            for member in three.members[:2]:
                await member.start()
            await three.answers()
            item = await store.get("k")
            assert item is not None
            assert item.value in (b"1", b"2")
            assert await store.commit([Put("k", b"3")], [Unchanged("k", item.revision)])
            with pytest.raises(Conflict):
                await store.commit([Put("k", b"4")], [Unchanged("k", item.revision)])


async def _write_through(store: EtcdStore, fault: Coroutine[Any, Any, None]) -> list[Writer]:
    """Four writers before, while and after something happens to etcd; what they were told must be so."""
    stop = asyncio.Event()
    writers = [Writer(store, "a"), Writer(store, "b"), Blind(store, "c"), Blind(store, "d")]
    running = [asyncio.create_task(writer.run(stop)) for writer in writers]
    async with asyncio.timeout(LIMIT):
        await _progress(writers)
        await fault
        await _progress(writers)
        stop.set()
        await asyncio.gather(*running)
        for writer in writers:
            await writer.check()
    return writers


async def _progress(writers: list[Writer]) -> None:
    """Wait until each of them has written 20 more."""
    wanted = [len(writer.acknowledged) + 20 for writer in writers]
    while any(len(w.acknowledged) < n for w, n in zip(writers, wanted, strict=True)):
        await asyncio.sleep(0.02)


async def _freeze(cluster: Cluster, seconds: float) -> None:
    cluster.members[0].freeze()
    await asyncio.sleep(seconds)
    cluster.members[0].thaw()


async def _kill_the_leader(cluster: Cluster) -> None:
    leader = await cluster.leader()
    await leader.kill()

"""The store over etcd: the contract, against each version there is, and what is etcd's own."""

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from flynn.core import keys
from flynn.core.errors import Compacted, Conflict, Invalid, NotFound, StartError, Unavailable
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.etcd_lanes import PREFIX as LANES
from flynn.core.etcd_link import Exhausted, address
from flynn.core.etcd_rpc import rpc
from flynn.core.etcd_txn import Transaction
from flynn.core.etcd_watch import open_watch
from flynn.core.mirror import open_mirror
from flynn.core.store import Batch, Delete, Item, Put, Store, Unchanged
from tests.contract.store import StoreContract
from tests.etcd import compact, running_etcd
from tests.ports import free_port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def urls(etcd_binary: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[str]]:
    """The endpoints of an etcd of one member that all tests of the module share."""
    async with running_etcd(etcd_binary, tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster.urls


@pytest.fixture
async def store(urls: list[str]) -> AsyncIterator[Store]:
    """A store without keys."""
    async with open_etcd(urls) as store:
        await everything_deleted(store)
        yield store


async def everything_deleted(store: EtcdStore) -> None:
    request = rpc.DeleteRangeRequest(key=b"\0", range_end=b"\0")
    await store.link.call(lambda e, t: e.kv.DeleteRange(request, timeout=t))


async def all_keys(store: EtcdStore) -> list[str]:
    request = rpc.RangeRequest(key=b"\0", range_end=b"\0", keys_only=True)
    answer = await store.link.call(lambda e, t: e.kv.Range(request, timeout=t))
    return [kv.key.decode() for kv in answer.kvs]


class TestContract(StoreContract):
    """See the base class."""


class TestKeys:
    async def test_keys_stand_under_the_prefix_and_other_keys_are_not_seen(self, store: EtcdStore) -> None:
        revision = await store.commit([Put("apps/a", b"1")])
        foreign = rpc.PutRequest(key=b"/flynn/v10/apps/b", value=b"2")
        await store.link.call(lambda e, t: e.kv.Put(foreign, timeout=t))
        shown = [key for key in await all_keys(store) if not key.startswith(LANES)]
        assert shown == [keys.PREFIX + "apps/a", "/flynn/v10/apps/b"]
        assert (await store.range()).items == (Item("apps/a", b"1", revision, revision),)

    async def test_lanes_are_few_and_never_shown(self, store: EtcdStore) -> None:
        start = (await store.range()).revision
        async with asyncio.timeout(20), store.watch("", start) as batches:
            for n in range(30):
                await store.commit([Put("k", b"%d" % n)])
            seen = [await anext(batches) for _ in range(30)]
        assert all([item.key for item in batch.puts] == ["k"] for batch in seen)
        assert [item.key for item in (await store.range()).items] == ["k"]
        assert len([key for key in await all_keys(store) if key.startswith(LANES)]) == 1

    async def test_a_closed_store_leaves_no_lane(self, urls: list[str]) -> None:
        async with open_etcd(urls) as store:
            await everything_deleted(store)
            await asyncio.gather(*(store.commit([Put(f"k/{n}", b"")]) for n in range(40)))
            assert len(await all_keys(store)) > 40
        async with open_etcd(urls) as store:
            assert len(await all_keys(store)) == 40

    async def test_a_range_over_several_pages_is_whole(self, store: EtcdStore) -> None:
        for n in range(45):
            await store.commit([Put(f"k/{n:02}/{i:02}", b"x") for i in range(100)])
        found = await store.range("k/")
        assert [item.key for item in found.items] == sorted(f"k/{n:02}/{i:02}" for n in range(45) for i in range(100))


class TestCommits:
    async def test_a_conflict_names_the_key(self, store: EtcdStore) -> None:
        revision = await store.commit([Put("apps/a", b"1")])
        with pytest.raises(Conflict, match=r"^apps/b was changed"):
            await store.commit([Put("x", b"")], [Unchanged("apps/a", revision), Unchanged("apps/b", revision)])

    async def test_a_conflict_whose_key_is_not_known_any_more_is_one_all_the_same(self, store: EtcdStore) -> None:
        """etcd was compacted before it was asked what had held the commit up."""
        revision = await store.commit([Put("apps/a", b"1")])
        await store.commit([Put("apps/a", b"2")])
        read, asked = store.lanes._guards, list[int]()

        async def late(transaction: Transaction, at: int, deadline: float) -> Any:
            asked.append(at)
            await compact(store, await store.commit([Put("y", b"")]))
            return await read(transaction, at, deadline)

        store.lanes._guards = late  # type: ignore[method-assign, assignment]
        with pytest.raises(Conflict, match=r"^what was read was changed") as told:
            await store.commit([Put("x", b"")], [Unchanged("apps/a", revision)])
        assert (told.value.detail, len(asked)) == ({}, 1)
        assert await store.get("x") is None
        assert await store.commit([Put("x", b"")]) > 0

    async def test_a_commit_too_large_for_etcd_is_invalid(self, store: EtcdStore) -> None:
        with pytest.raises(Invalid, match="too large for etcd"):
            await store.commit([Put(f"k/{n}", b"x" * 1_000_000) for n in range(2)])
        assert (await store.range()).items == ()

    async def test_lanes_that_are_gone_are_made_again(self, store: EtcdStore) -> None:
        await store.commit([Put("k", b"1")])
        await store.revoke(store.lanes._lease)
        with pytest.raises(Unavailable, match="lease"):
            await store.commit([Put("k", b"2")])
        assert await store.commit([Put("k", b"3")], [Unchanged("k", (await store.range("k")).items[0].revision)])

    async def test_lanes_that_someone_removed_are_made_again(self, store: EtcdStore) -> None:
        await store.commit([Put("k", b"1")])
        await everything_deleted(store)
        assert await store.commit([Put("k", b"2")], [Unchanged("k", 0)])

    async def test_a_cancelled_commit_is_settled(self, store: EtcdStore) -> None:
        for n in range(20):
            task = asyncio.create_task(store.commit([Put("k", b"%d" % n)]))
            await asyncio.sleep(n / 10_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10):
            await asyncio.gather(*store.lanes._settling)
        before = (await store.range()).items
        await store.commit([Put("end", b"")])
        assert (await store.range("k")).items == before

    async def test_a_mirror_reaches_a_commit_that_changed_nothing(self, store: EtcdStore) -> None:
        async with open_mirror(store) as mirror, open_etcd([e.address for e in store.link.endpoints]) as other:
            await mirror.reach(await other.commit([Put("queues/services/a", b"")]))
            await other.grant(60)
            await mirror.reach(await store.commit([Delete("queues/services/b")]))
            await mirror.reach(await store.commit([Delete("queues/services/a")]))
            facts = await mirror.reach(await store.commit([], [Unchanged("queues/services/a", 0)]))
            assert not facts.queues


class TestQuota:
    async def test_no_space_is_told_and_nothing_is_half_done(self, etcd_binary: str, tmp_path: Path) -> None:
        async with running_etcd(etcd_binary, tmp_path, 1, "--quota-backend-bytes=3000000") as cluster:
            async with open_etcd(cluster.urls) as store:
                done: list[str] = []
                with pytest.raises(Exhausted, match="quota"):
                    await _fill(store, done)
                assert done
                assert [item.key for item in (await store.range("k/")).items] == done
                with pytest.raises(Unavailable, match="disarm"):
                    await store.commit([Delete("k/00")])


class TestWatch:
    async def test_a_compacted_revision_is_told(self, store: EtcdStore) -> None:
        first = await store.commit([Put("k", b"1")])
        second = await store.commit([Delete("k")])
        await store.commit([Put("k", b"3")])
        await compact(store, second)
        with pytest.raises(Compacted):
            async with asyncio.timeout(10), store.watch("", first) as batches:
                await anext(batches)
        async with asyncio.timeout(10), store.watch("", second) as batches:
            assert (await anext(batches)).puts[0].value == b"3"

    async def test_an_etcd_that_went_back_is_told(self, store: EtcdStore) -> None:
        revision = (await store.range()).revision
        with pytest.raises(Compacted, match="restored"):
            async with asyncio.timeout(10), store.watch("", revision + 1000):
                pytest.fail("it was opened")

    async def test_a_watch_lives_through_quiet_times(self, store: EtcdStore) -> None:
        start = (await store.range()).revision
        quick = open_watch(store.link, keys.PREFIX, "", start, ask=0.2, silence=2.5)
        async with asyncio.timeout(30), quick as batches:
            waiting = asyncio.ensure_future(anext(batches))
            done, _ = await asyncio.wait([waiting], timeout=6)
            assert not done
            revision = await store.commit([Put("k", b"")])
            assert (await waiting).revision == revision

    async def test_a_watch_as_a_whole_leaves_no_task(self, store: EtcdStore) -> None:
        before = asyncio.all_tasks()
        for _ in range(3):
            async with store.watch("", 0):
                pass
        async with asyncio.timeout(5):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)


class TestEndpoints:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("http://10.0.0.1:2379", "10.0.0.1:2379"),
            ("http://10.0.0.1:2379/", "10.0.0.1:2379"),
            ("10.0.0.1:4001", "10.0.0.1:4001"),
            ("etcd-1", "etcd-1:2379"),
            ("http://etcd-1", "etcd-1:2379"),
            (" http://[::1]:2379", "[::1]:2379"),
        ],
    )
    def test_what_is_meant(self, given: str, meant: str) -> None:
        assert address(given) == meant

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ("", "no good"),
            ("http://", "no good"),
            ("http://a:b", "no good"),
            ("http://a:99999", "no good"),
            ("http://a:0", "no good"),
            ("a:2379,b:2379", "no good"),
            ("http://a:2379/x", "no good"),
            ("ftp://a:2379", "no good"),
            ("http://[::1", "no good"),
            ("http://a b:2379", "no good"),
            ("https://a:2379", "TLS: not supported"),
            ("http://me:secret@a:2379", "user and a password is not supported"),
        ],
    )
    async def test_what_is_refused(self, given: str, why: str) -> None:
        with pytest.raises(StartError, match=why) as caught:
            async with open_etcd([given]):
                pytest.fail("it was opened")
        assert "secret" not in str(caught.value)

    async def test_none_is_refused(self) -> None:
        with pytest.raises(StartError, match="no etcd endpoint"):
            async with open_etcd([]):
                pytest.fail("it was opened")

    async def test_nobody_there_is_unavailable_in_time(self) -> None:
        """Neither where no one listens nor where someone listens and says nothing."""
        closed = free_port()
        with _silent() as silent:
            async with open_etcd([f"http://127.0.0.1:{closed}"]) as store, open_etcd([f"127.0.0.1:{silent}"]) as other:
                async with asyncio.timeout(10):
                    await asyncio.gather(_all_unavailable(store, closed), _all_unavailable(other, silent))

    async def test_a_dead_endpoint_is_passed_over(self, urls: list[str]) -> None:
        async with open_etcd([f"127.0.0.1:{free_port()}", *urls]) as store:
            async with asyncio.timeout(10), store.watch("", 0):
                assert await store.commit([Put("k", b"")])


@contextmanager
def _silent() -> Iterator[int]:
    """A port where connections are taken and nobody ever answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


async def _all_unavailable(store: Store, port: int) -> None:
    """Each call says so, and names the endpoint."""
    calls = [
        store.get("k"),
        store.range(),
        store.commit([Put("k", b"")]),
        store.grant(5),
        store.renew(5),
        store.revoke(5),
        _watched(store),
    ]
    for found in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(found, Unavailable), found
        assert f"127.0.0.1:{port}" in str(found)


async def _fill(store: Store, done: list[str]) -> None:
    for n in range(100):
        await store.commit([Put(f"k/{n:02}", b"x" * 100_000)])
        done.append(f"k/{n:02}")


async def _watched(store: Store) -> None:
    async with store.watch("", 0):
        pass


async def _work(urls: list[str]) -> list[Batch]:
    async with open_etcd(urls) as store:
        lease = await store.grant(5)
        after = await store.commit([Put("u/1", b"1"), Put("u/2", b"2", lease)])
        async with store.watch("u/", after) as batches:
            await store.renew(lease)
            await store.revoke(lease)
            seen = await anext(batches)
            with pytest.raises(NotFound):
                await store.renew(lease)
        assert [item.key for item in (await store.range("u/")).items] == ["u/1"]
        return [seen]


def test_it_works_under_uvloop_and_quietly(etcd_binary: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> list[Batch]:
        async with running_etcd(etcd_binary, tmp_path) as cluster:
            return await asyncio.wait_for(_work(cluster.urls), 20)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [seen] = uvloop.run(main())
    assert seen.deletes == ("u/2",)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""

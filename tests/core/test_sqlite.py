"""The embedded store keeps the contract, and what it wrote."""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.core.database import CHUNK_BYTES, Database
from flynn.core.errors import Compacted, NotFound
from flynn.core.sqlite import SqliteStore, open_sqlite
from flynn.core.store import Batch, Delete, Item, Put, Store, Unchanged
from tests.contract.store import StoreContract
from tests.contract.store_watches import take

ROOT = Path(__file__).parents[2]


class TestSqlite(StoreContract):
    ttl = 1.0
    late = 5.0

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        async with open_sqlite(tmp_path / "store.db") as store:
            yield store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(file) as store:
        yield store


# what lasts


async def test_every_acknowledged_commit_survives_a_kill(file: Path) -> None:
    chance, acknowledged = random.Random(7), dict[int, int]()
    for round in range(4):
        acknowledged |= await asyncio.to_thread(_commit_until_killed, file, 1_000_000 * round, chance.randint(50, 400))
        async with open_sqlite(file, history=100_000) as store:
            found = {item.key: item for item in (await store.range()).items}
            for number, revision in acknowledged.items():
                assert found[f"a/{number}"] == Item(f"a/{number}", b"x" * 2000, revision, revision)
                assert found[f"b/{number}"].revision == revision
            assert len(found) % 2 == 0
            batches = await take(store, "", 0, len(found) // 2)
            assert [batch.revision for batch in batches] == list(range(1, len(found) // 2 + 1))
            assert all(len(batch.puts) == 2 for batch in batches)


def _commit_until_killed(file: Path, first: int, count: int) -> dict[int, int]:
    command = [sys.executable, "-m", "tests.core.commits", str(file), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.kill()
        lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]
    assert len(whole) >= count, "it ended before it was killed"
    return {int(number): int(revision) for number, revision in whole}


async def test_a_reopened_store_goes_on(file: Path) -> None:
    async with open_sqlite(file) as store:
        first = await store.commit([Put("apps/a", b"1")])
        second = await store.commit([Put("apps/a", b"2"), Put("apps/b", b"1")])
    async with open_sqlite(file) as store:
        assert (await store.range()).revision == second
        assert await store.get("apps/a") == Item("apps/a", b"2", first, second)
        third = await store.commit([Delete("apps/b")], [Unchanged("apps/b", second)])
        assert third > second
        assert [batch.revision for batch in await take(store, "", first, 2)] == [second, third]


async def test_a_lease_has_its_whole_time_after_a_reopening(file: Path) -> None:
    loop = asyncio.get_running_loop()
    async with open_sqlite(file) as store:
        lease, gone = await store.grant(2.0), await store.grant(2.0)
        await store.commit([Put("hosts/a", b"1", lease)])
        await store.revoke(gone)
        await asyncio.sleep(0.7)
    opened = loop.time()
    async with open_sqlite(file) as store:
        with pytest.raises(NotFound):
            await store.renew(gone)
        assert await store.grant(10) not in (lease, gone)
        async with asyncio.timeout(10):
            while await store.get("hosts/a"):
                await asyncio.sleep(0.05)
        assert loop.time() - opened >= 1.8


async def test_only_the_owner_may_read_the_files(store: SqliteStore) -> None:
    await store.commit([Put("grid", b"secret")])
    files = list(store.path.parent.iterdir())
    assert store.path in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# history


async def test_the_history_is_kept_for_so_many_commits(file: Path) -> None:
    async with open_sqlite(file, history=20) as store:
        await store.commit([Put("first", b"")])
        async with store.watch("", 0) as batches:
            last = [await store.commit([Put("k", b"%d" % n)]) for n in range(60)][-1]
            assert (await anext(batches)).revision == 1
            with pytest.raises(Compacted):
                await anext(batches)
        with pytest.raises(Compacted):
            await take(store, "", 0, 1)
        assert len(await take(store, "", last - 20, 20)) == 20
        assert await store.get("first") is not None
    async with open_sqlite(file, history=20) as store:
        with pytest.raises(Compacted):
            await take(store, "", 0, 1)
        assert len(await take(store, "", last - 20, 20)) == 20


async def test_a_watcher_takes_little_of_a_long_history_at_a_time(store: SqliteStore) -> None:
    value = b"x" * 200_000
    written = [await store.commit([Put("k", value), Put("l", value)]) for _ in range(60)]
    read, last = 0, 0

    def more(db: Database) -> tuple[list[Batch], int]:
        return db.since("", last)

    while last < written[-1]:
        found, last = await store.read(more)
        assert sum(len(item.value) for batch in found for item in batch.puts) <= CHUNK_BYTES + 2 * len(value)
        assert all(len(batch.puts) == 2 for batch in found)
        assert last == found[-1].revision
        read += len(found)
    assert read == len(written)


async def test_a_watch_passes_over_what_is_long_and_not_its_own(store: SqliteStore) -> None:
    for n in range(6):
        await asyncio.gather(*(store.commit([Put(f"other/{i}", b"%d" % n)]) for i in range(100)))
    last = await store.commit([Put("mine/a", b"")])
    assert [batch.revision for batch in await take(store, "mine/", 0, 1)] == [last]


async def test_a_cancelled_wait_for_a_batch_loses_none(store: SqliteStore) -> None:
    async with store.watch("", 0) as batches:
        for n in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(batches), 0.02)
            revision = await store.commit([Put("k", b"%d" % n)])
            assert (await asyncio.wait_for(anext(batches), 5)).revision == revision

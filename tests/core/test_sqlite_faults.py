"""What the embedded store refuses, and what callers, other programs and the disk may do to it."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flynn.core.errors import Conflict, NotFound, StartError, Unavailable
from flynn.core.locked import lock
from flynn.core.sqlite import SqliteStore, open_sqlite
from flynn.core.store import Item, Put, Store, Unchanged
from tests.contract.store_watches import take

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(file) as store:
        yield store


# what is refused


async def test_a_second_opener_is_refused(store: SqliteStore) -> None:
    with pytest.raises(StartError, match=f"in use by process {os.getpid()}; stop"):
        async with open_sqlite(store.path):
            pass
    await store.commit([Put("k", b"")])


async def test_a_second_process_is_refused_until_the_first_ends(file: Path) -> None:
    command = [sys.executable, "-m", "tests.core.commits", str(file), "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    await process.stdout.readline()
    with pytest.raises(StartError, match=f"process {process.pid};"):
        async with open_sqlite(file):
            pass
    process.kill()
    await process.communicate()
    async with open_sqlite(file) as store:
        assert (await store.range()).items


async def test_what_a_killed_process_was_about_to_begin_holds_the_file_but_for_a_moment(file: Path) -> None:
    held = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT)
    assert lock(held)
    threading.Timer(0.2, os.close, [held]).start()
    async with open_sqlite(file) as store:
        assert not (await store.range()).items


async def _filled(file: Path) -> None:
    async with open_sqlite(file) as store:
        await asyncio.gather(*(store.commit([Put(f"k/{n}", os.urandom(3000))]) for n in range(200)))


async def test_a_damaged_file_is_refused(file: Path) -> None:
    await _filled(file)
    whole = file.read_bytes()
    assert len(whole) > 300_000
    holes = whole[:100_000] + os.urandom(20_000) + whole[120_000:]
    for broken in (b"no database at all, but longer than a header" * 100, whole[:150_000], holes):
        file.write_bytes(broken)
        with pytest.raises(StartError, match=r"damaged .*; move it .* put a backup in its place"):
            async with open_sqlite(file):
                pass
    file.write_bytes(whole)
    async with open_sqlite(file) as store:
        assert len((await store.range()).items) == 200


async def test_a_file_of_a_newer_flynn_is_refused(file: Path) -> None:
    await _filled(file)
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(StartError, match=r"newer flynn .schema 7"):
        async with open_sqlite(file):
            pass


async def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file or directory; name another"):
        async with open_sqlite(tmp_path / "none" / "store.db"):
            pass


async def test_a_closed_store_says_so(file: Path) -> None:
    async with open_sqlite(file) as store, store.watch("", 0) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
    for call in (store.get("k"), store.commit([Put("k", b"")]), waiting):
        with pytest.raises(Unavailable, match="closed"):
            await call


# callers


async def test_one_that_fails_harms_none_of_its_group(store: SqliteStore) -> None:
    calls = [store.commit([Put(f"k/{n}", b"")]) for n in range(20)]
    calls.insert(5, store.commit([Put("bad/conflict", b"")], [Unchanged("none", 3)]))
    calls.insert(7, store.commit([Put("bad/lease", b"", 99)]))
    calls.insert(9, store.commit([Put("bad/a", b""), Put("bad/\udc80", b"")]))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[5], Conflict)
    assert isinstance(results[7], NotFound)
    assert isinstance(results[9], UnicodeEncodeError)
    assert [r for r in results if isinstance(r, int)] == list(range(1, 21))
    assert [item.key for item in (await store.range()).items] == sorted(f"k/{n}" for n in range(20))


async def test_cancelled_callers_leave_whole_commits(store: SqliteStore) -> None:
    chance = random.Random(3)
    calls = [asyncio.create_task(store.commit([Put(f"a/{n}", b""), Put(f"b/{n}", b"")])) for n in range(300)]
    for call in chance.sample(calls, 200):
        await asyncio.sleep(0)
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
    items = {item.key: item for item in (await store.range()).items}
    for n, result in enumerate(results):
        assert (f"a/{n}" in items) == (f"b/{n}" in items)
        if isinstance(result, int):
            assert items[f"a/{n}"].revision == result
    last = await store.commit([Put("last", b"")])
    assert [batch.revision for batch in await take(store, "", 0, last)] == list(range(1, last + 1))


async def test_a_call_that_waits_too_long_did_not_happen(store: SqliteStore) -> None:
    go_on, store.timeout = threading.Event(), 0.1
    held = asyncio.create_task(store.read(lambda db: go_on.wait(10)))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match=r"within 0.1 s"):
        await store.commit([Put("k", b"")])
    with pytest.raises(Unavailable, match=r"within 0.1 s"):
        await store.get("k")
    go_on.set()
    with pytest.raises(Unavailable):
        await held
    store.timeout = 5
    assert await store.commit([Put("l", b"")]) == 1
    assert await store.get("k") is None


async def test_closing_waits_for_what_runs(file: Path) -> None:
    async with open_sqlite(file) as store:
        calls = [asyncio.create_task(store.commit([Put(f"k/{n}", b"")])) for n in range(50)]
        await asyncio.sleep(0)
    assert sorted(await asyncio.gather(*calls)) == list(range(1, 51))
    async with open_sqlite(file) as store:
        assert len((await store.range()).items) == 50


# the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def _fill(store: Store, written: dict[str, int]) -> None:
    for n in range(200):
        written[f"k/{n}"] = await store.commit([Put(f"k/{n}", bytes(5000)), Put(f"l/{n}", b"")])


async def test_a_full_disk_is_said_and_got_over(small_disk: Path) -> None:
    ballast, written = small_disk / "ballast", dict[str, int]()
    ballast.write_bytes(bytes(300_000))
    async with open_sqlite(small_disk / "store.db") as store:
        with pytest.raises(Unavailable, match="make room on the disk") as error:
            await _fill(store, written)
        assert str(store.path) in str(error.value)
        before = await store.range()
        assert {item.key: item.revision for item in before.items if item.key < "l"} == written
        assert len(before.items) == 2 * len(written)
        ballast.unlink()
        after = await store.commit([Put("k/more", b"")])
        assert after == before.revision + 1
    async with open_sqlite(small_disk / "store.db") as store:
        assert (await store.range()).items == tuple(
            sorted([*before.items, Item("k/more", b"", after, after)], key=lambda item: item.key)
        )


async def test_a_lease_ends_once_the_file_can_be_written_again(store: SqliteStore) -> None:
    lease = await store.grant(0.1)
    await store.commit([Put("hosts/a", b"", lease)])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another program holds the file"):
        await store.commit([Put("k", b"")])
    assert await store.get("hosts/a") is not None
    other.execute("ROLLBACK")
    other.close()
    async with asyncio.timeout(10):
        while await store.get("hosts/a"):
            await asyncio.sleep(0.05)
    assert await store.commit([Put("k", b"")])

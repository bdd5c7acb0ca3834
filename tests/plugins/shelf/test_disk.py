"""Blobs on a disk: the contract, a kill at the worst moment, a full disk."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import pytest

from flynn.core.errors import Full, Unavailable
from flynn.plugins.shelf.blobs import Usage
from flynn.plugins.shelf.disk import DiskStore, open_disk
from tests.contract import blobstore
from tests.contract.blobstore import LIMIT, chunks, digest, read
from tests.small import fill, mounted_disk, use_up_files

PUT_AND_HANG = """
import asyncio, sys
from pathlib import Path
from flynn.plugins.shelf.disk import open_disk

async def chunks():
    yield b"kept for ever"
    print("all is written", flush=True)
    await asyncio.sleep(60)

async def main():
    async with open_disk(Path(sys.argv[1]), 1 << 20, 1 << 30) as store:
        await store.put(sys.argv[2], chunks())

asyncio.run(main())
"""


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


async def test_contract(tmp_path: Path) -> None:
    number = count()

    def opener() -> AbstractAsyncContextManager[DiskStore]:
        return open_disk(tmp_path / str(next(number)), LIMIT, 1 << 30)

    await blobstore.check(opener)
    assert not [name for name in files(tmp_path) if name.endswith(".part")]


async def test_blobs_and_their_count_outlive_the_process(tmp_path: Path) -> None:
    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        await store.put(digest(b"abc"), chunks(b"abc"))
    assert (tmp_path / digest(b"abc")[:2] / digest(b"abc")).read_bytes() == b"abc"
    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        assert store.usage == Usage(1, 3)
        assert await read(store, digest(b"abc"), 0, 3) == b"abc"


async def test_what_may_be_swept_is_so_for_the_next_process_too(tmp_path: Path) -> None:
    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        await store.put(digest(b"abc"), chunks(b"abc"), sweep=True)
        await store.put(digest(b"mine"), chunks(b"mine"))
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / f"{'ab' * 32}.unused").touch()  # A crash left it without its blob.
    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        assert {blob.sha256 for blob in await store.list() if blob.asked} == {digest(b"abc")}
        assert files(tmp_path) == sorted([digest(b"abc"), f"{digest(b'abc')}.unused", digest(b"mine")])
        assert await store.delete(digest(b"abc"))
    assert files(tmp_path) == [digest(b"mine")]


async def test_a_kill_before_the_rename_leaves_nothing_visible(tmp_path: Path) -> None:
    sha256 = digest(b"kept for ever")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUT_AND_HANG, str(tmp_path), sha256, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    async with asyncio.timeout(20):
        assert await child.stdout.readline() == b"all is written\n"
        child.kill()
        assert await child.wait() == -signal.SIGKILL
    assert len(files(tmp_path)) == 1, "the kill left no half-written file, so this test shows nothing"
    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        assert files(tmp_path) == []
        assert await store.head(sha256) is None
        assert await store.put(sha256, chunks(b"kept for ever")) is True


async def test_a_cancelled_put_leaves_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"some"
        begun.set()
        await asyncio.Event().wait()

    async with open_disk(tmp_path, LIMIT, 1 << 30) as store:
        putting = asyncio.create_task(store.put(digest(b"something"), slow()))
        await asyncio.wait_for(begun.wait(), 10)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
    assert files(tmp_path) == []


async def test_a_reserve_of_the_disk_is_no_blobs(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 8) as disk:
        async with open_disk(disk, LIMIT, 1 << 30, lambda disk: disk.size // 2) as store:
            for data in (b"a" * LIMIT, b"b" * LIMIT):
                await store.put(digest(data), chunks(data))
            fill(disk, 4 << 20)
            with pytest.raises(Full, match=r"no room is left in .* but the 4 MiB that stay free .`shelf\.reserve`"):
                await store.put(digest(b"c"), chunks(b"c"))
            assert len(await store.list()) == 2
            assert not [name for name in files(disk) if name.endswith(".part")]


async def test_all_blobs_together_have_a_limit(tmp_path: Path) -> None:
    async with open_disk(tmp_path, LIMIT, 2 << 20) as store:
        for data in (b"a" * LIMIT, b"b" * LIMIT):
            await store.put(digest(data), chunks(data))
        with pytest.raises(Full, match=r"fill the 2 MiB.*shelf\.space"):
            await store.put(digest(b"c"), chunks(b"c"))
        assert await store.put(digest(b"a" * LIMIT), chunks(b"a" * LIMIT)) is False
        await store.delete(digest(b"b" * LIMIT))
        assert await store.put(digest(b"c"), chunks(b"c")) is True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with mounted_disk(tmp_path / "disk", 1) as disk:
        yield disk


async def test_a_full_disk_hurts_no_blob(small_disk: Path) -> None:
    async with open_disk(small_disk, 16 << 20, 1 << 30) as store:
        early, late = b"e" * 300_000, b"l" * 500_000
        await store.put(digest(early), chunks(early))
        for size in (100_000, 4_000):
            big = [bytes(size)] * (2_000_000 // size)
            with pytest.raises(Full, match=r"no room is left in .*/disk .*shelf\.directory"):
                await store.put(digest(b"".join(big)), chunks(*big))
            assert files(small_disk) == [digest(early)]
        assert await read(store, digest(early), 0, len(early)) == early
        assert await store.put(digest(late), chunks(late)) is True
        assert store.usage == Usage(2, 800_000)


async def test_what_is_on_a_full_disk_is_read_after_a_start_too(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 1, files=20) as disk:
        folder = disk / digest(b"early")[:2]
        folder.mkdir()
        (folder / digest(b"early")).write_bytes(b"early")
        use_up_files(disk, 3)
        async with open_disk(disk, LIMIT, 1 << 30) as store:
            assert await read(store, digest(b"early"), 0, 5) == b"early"
            with pytest.raises(Full, match="no room is left"):
                await store.put(digest(b"late"), chunks(b"late"))


async def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"the disk under .*/file fails"):
        async with open_disk(tmp_path / "file", LIMIT, 1 << 30):
            pass

"""What every BlobStore must do. Call `check` with an opener of empty stores that take 1 MiB a blob."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO

import pytest

from flynn.core.errors import Invalid, NotFound, TooLarge, Unavailable
from flynn.plugins.shelf.blobs import Blob, BlobStore, Usage

Opener = Callable[[], AbstractAsyncContextManager[BlobStore]]
LIMIT = 1 << 20


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(store: BlobStore, sha256: str, start: int, stop: int) -> bytes:
    async with store.open(sha256, start, stop) as pieces:
        return b"".join([piece async for piece in pieces])


async def check(opener: Opener) -> None:
    """All of the contract, each part on a store of its own."""
    for part in (
        _keeps, _refuses, _breaks_off, _puts_at_once, _deletes_under_a_reader, _sweeps, _removed_while_put, _files,
    ):  # fmt: skip
        async with opener() as store:
            assert store.limit == LIMIT
            await part(store)


async def _keeps(store: BlobStore) -> None:
    data = b"one two three"
    sha256 = digest(data)
    assert await store.head(sha256) is None
    assert await store.put(sha256, chunks(b"one ", b"", b"two three")) is True
    assert await store.put(sha256, chunks(data)) is False
    assert await store.put(digest(b""), chunks()) is True
    assert store.usage == Usage(2, len(data))
    assert sorted((b.sha256, b.size) for b in await store.list()) == sorted([(sha256, 13), (digest(b""), 0)])
    found = await store.head(sha256)
    assert found is not None
    assert (found.sha256, found.size) == (sha256, len(data))
    assert await read(store, sha256, 0, 13) == data
    assert await read(store, sha256, 4, 7) == b"two"
    assert await read(store, digest(b""), 0, 0) == b""
    assert await store.delete(sha256) is True
    assert await store.delete(sha256) is False
    assert await store.head(sha256) is None
    assert store.usage == Usage(1, 0)


async def _refuses(store: BlobStore) -> None:
    with pytest.raises(Invalid, match="have the SHA-256"):
        await store.put(digest(b"a"), chunks(b"b"))
    with pytest.raises(TooLarge, match="1 MiB"):
        await store.put(digest(b"a"), chunks(b"x" * LIMIT, b"x"))
    with pytest.raises(NotFound):
        await read(store, digest(b"a"), 0, 1)
    whole = bytes(LIMIT)
    assert await store.put(digest(whole), chunks(whole)) is True
    with pytest.raises(Invalid, match="have the SHA-256"):
        await store.put(digest(whole), chunks(b"b"))
    assert store.usage == Usage(1, LIMIT)
    assert [blob.size for blob in await store.list()] == [LIMIT]


async def _breaks_off(store: BlobStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await store.put(digest(b"something"), broken())
    assert await store.list() == []
    assert store.usage == Usage(0, 0)


async def _puts_at_once(store: BlobStore) -> None:
    parts = [bytes([n]) * 1000 for n in range(50)]
    sha256 = digest(b"".join(parts))
    new = await asyncio.gather(*(store.put(sha256, chunks(*parts)) for _ in range(4)))
    assert sorted(new) == [False, False, False, True]
    assert await read(store, sha256, 0, 50_000) == b"".join(parts)
    assert store.usage == Usage(1, 50_000)


async def _sweeps(store: BlobStore) -> None:
    """Only what was put so, by everybody who put it, and what nobody has put or asked for since it was listed."""
    mine, ours, both, new = b"mine", b"ours", b"both", b"new"

    async def seen(data: bytes) -> Blob:
        return next(blob for blob in await store.list() if blob.sha256 == digest(data))

    await store.put(digest(mine), chunks(mine))
    await store.put(digest(mine), chunks(mine), sweep=True)
    for data in (ours, both, new):
        assert await store.put(digest(data), chunks(data), sweep=True) is True
    before = await seen(both)
    await store.put(digest(both), chunks(both))
    assert (await seen(mine)).asked == (await seen(both)).asked == 0
    assert not await store.sweep(await seen(mine))
    assert not await store.sweep(before)
    assert not await store.sweep(await seen(both))
    for ask in (store.head(digest(new)), store.put(digest(new), chunks(new), sweep=True)):
        old = await seen(new)
        await asyncio.sleep(0.02)  # A file system tells the time in steps of some milliseconds.
        assert await ask is not None
        assert (await seen(new)).asked > old.asked > 0
        assert not await store.sweep(old)
    found = await seen(ours)
    assert await store.sweep(found) is True
    assert await store.sweep(found) is False
    assert sorted(blob.sha256 for blob in await store.list()) == sorted(digest(data) for data in (mine, both, new))
    assert store.usage == Usage(3, len(mine + both + new))
    await store.put(digest(ours), chunks(ours))
    assert (await seen(ours)).asked == 0


async def _removed_while_put(store: BlobStore) -> None:
    """Who puts what is there already is not told that it is kept, if it goes meanwhile."""
    data = b"some bytes"
    await store.put(digest(data), chunks(data), sweep=True)

    async def slowly() -> AsyncIterator[bytes]:
        yield data[:4]
        assert await store.delete(digest(data))
        yield data[4:]

    with pytest.raises(Unavailable, match="put it again"):
        await store.put(digest(data), slowly())
    assert await store.put(digest(data), chunks(data)) is True


async def _files(store: BlobStore) -> None:
    """What comes as a file is kept as if it came in pieces, and is had as one."""
    data, many = b"from a file", os.urandom(700_000)
    with tempfile.TemporaryFile() as file:

        def holding(*parts: bytes) -> BinaryIO:
            file.seek(0)
            file.truncate()
            file.write(b"".join(parts))
            file.seek(0)
            return file

        assert await store.open_file(digest(data)) is None
        with pytest.raises(Invalid, match="have the SHA-256"):
            await store.put_file(digest(b"a"), holding(b"b"))
        with pytest.raises(TooLarge, match="1 MiB"):
            await store.put_file(digest(b"a"), holding(b"x" * LIMIT, b"x"))
        assert await store.list() == []
        assert await store.put_file(digest(data), holding(data), sweep=True) is True
        with pytest.raises(Invalid, match="have the SHA-256"):
            await store.put_file(digest(data), holding(b"b"))
        assert await store.put_file(digest(data), holding(data), sweep=True) is False
        assert await store.put_file(digest(many), holding(many)) is True
        assert await store.put_file(digest(b""), holding(b"")) is True
    assert store.usage == Usage(3, len(data + many))
    assert {blob.sha256: blob.asked > 0 for blob in await store.list()} == {
        digest(data): True, digest(many): False, digest(b""): False,
    }  # fmt: skip
    assert await read(store, digest(many), 0, len(many)) == many
    before = next(blob for blob in await store.list() if blob.sha256 == digest(data))
    await asyncio.sleep(0.02)  # As above.
    found = await store.open_file(digest(data))
    assert found is not None
    with found:
        assert not await store.sweep(before), "it was asked for"
        assert await store.delete(digest(data))
        assert found.read() == data


async def _deletes_under_a_reader(store: BlobStore) -> None:
    data = bytes(range(256)) * 4096
    await store.put(digest(data), chunks(data))
    async with store.open(digest(data), 0, len(data)) as pieces:
        assert await store.delete(digest(data))
        assert b"".join([piece async for piece in pieces]) == data

"""Blobs in a directory: `ab/abcd…` is the blob of that digest, `ab/abcd….XXXX.part` one that is being written, and
`ab/abcd….unused`, an empty file, says that the blob may be swept, and by its time when it was last put or asked for.

A blob is written aside, synced, renamed, and its directory synced before anyone hears that it is kept: whatever
dies at whatever moment, a name stands for all of its bytes. All work on files is done in threads.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO, ParamSpec, TypeVar

from flynn.core.disk import room
from flynn.core.errors import FlynnError, Full, Invalid, NotFound, TooLarge, Unavailable
from flynn.core.handed import handed, opened
from flynn.core.room import Room, words
from flynn.plugins.shelf.blobs import CHUNK, DIGEST, Blob, Usage
from flynn.plugins.shelf.mark import MARK, mark_of, set_mark
from flynn.plugins.shelf.part import Part, sync

P = ParamSpec("P")
T = TypeVar("T")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

MEASURED = 1024 * 1024
"""Bytes that are written until the disk's room is looked at again."""


@asynccontextmanager
async def open_disk(
    root: Path, limit: int, space: int, reserve: Callable[[Room], int] = lambda disk: 0
) -> AsyncIterator["DiskStore"]:
    """The blobs under `root`, which nobody else writes to meanwhile. Full, Unavailable: it cannot be used."""
    store = DiskStore(root, limit, space, reserve)
    await store.prepare()
    yield store


class DiskStore:
    """A BlobStore: at most `limit` bytes in a blob and `space` in all (puts at once may each see the same room).

    `reserve`: how many bytes of its disk no blob takes.
    """

    def __init__(self, root: Path, limit: int, space: int, reserve: Callable[[Room], int]) -> None:
        self.limit, self.reserve = limit, reserve
        self._root = root
        self._space = space
        self._usage = Usage(0, 0)
        self._counting = Lock()

    @property
    def usage(self) -> Usage:
        return self._usage

    async def prepare(self) -> None:
        """Make the directory, sweep what a crash left, count the blobs: once, before anything else."""
        self._usage = await self._disk(_swept, self._root)

    async def put(self, sha256: str, chunks: AsyncIterator[bytes], sweep: bool = False) -> bool:
        path = self._path(sha256)
        if await self._disk(path.exists):
            seen = hashlib.sha256()
            async for chunk in self._bounded(chunks):
                await asyncio.to_thread(seen.update, chunk)
            _check(seen.hexdigest(), sha256)
            await self._disk(self._keep_on, path, sweep)
            return False
        part = await handed(self._disk, lambda: Part(path), Part.discard)
        try:
            async for chunk in self._bounded(chunks):
                await self._disk(self._write, part, chunk)
            return await self._disk(self._keep, part, path, sweep)
        finally:
            await self._disk(part.discard)

    async def put_file(self, sha256: str, file: BinaryIO, sweep: bool = False) -> bool:
        return await self._disk(self._put_file, self._path(sha256), file, sweep)

    async def head(self, sha256: str) -> Blob | None:
        return await self._disk(self._asked, self._path(sha256))

    @asynccontextmanager
    async def open(self, sha256: str, start: int, stop: int) -> AsyncIterator[AsyncIterator[bytes]]:
        file = await opened(self._disk, lambda: _opened(self._path(sha256), start))
        if file is None:
            raise NotFound(f"the blob {sha256[:12]} is not on this shelf", sha256=sha256)
        try:
            yield self._read(file, stop - start)
        finally:
            file.close()  # Not in a thread: who is cancelled again would leave it open.

    async def open_file(self, sha256: str) -> BinaryIO | None:
        return await opened(self._disk, lambda: self._open_file(self._path(sha256)))

    async def delete(self, sha256: str) -> bool:
        return await self._disk(self._delete, self._path(sha256))

    async def sweep(self, blob: Blob) -> bool:
        return await self._disk(self._delete, self._path(blob.sha256), blob)

    async def list(self) -> list[Blob]:
        return await self._disk(lambda: sorted(_scan(self._root), key=lambda blob: blob.sha256))

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    async def _bounded(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            self._check_limit(size)
            yield chunk

    def _put_file(self, path: Path, file: BinaryIO, sweep: bool) -> bool:
        """All of it in one thread: there is nobody to be waited for."""
        self._check_limit(os.fstat(file.fileno()).st_size - file.tell())
        if path.exists():
            seen = hashlib.sha256()
            while chunk := file.read(CHUNK):
                seen.update(chunk)
            _check(seen.hexdigest(), path.name)
            self._keep_on(path, sweep)
            return False
        part = Part(path)
        try:
            while chunk := file.read(CHUNK):
                self._check_limit(part.size + len(chunk))  # It may still grow.
                self._write(part, chunk)
            return self._keep(part, path, sweep)
        finally:
            part.discard()

    def _open_file(self, path: Path) -> BinaryIO | None:
        return _opened(path, 0) if self._asked(path) else None

    def _check_limit(self, size: int) -> None:
        if size > self.limit:
            raise TooLarge(f"a blob may have {self.limit >> 20} MiB at most; `shelf.limit` sets that")

    def _write(self, part: Part, chunk: bytes) -> None:
        """Full: there is no room for it."""
        size = part.size + len(chunk)
        if not part.size or part.size // MEASURED != size // MEASURED:
            self._check_room()
        if self._usage.size + size > self._space:
            raise Full(
                f"the blobs in {self._root} fill the {self._space >> 20} MiB that they may have in all; "
                "remove old ones, or allow more with `shelf.space`"
            )
        part.write(chunk)

    def _check_room(self) -> None:
        """Full: a little more, and the disk would have less than its reserve."""
        found = room(self._root)
        reserve = self.reserve(found)
        if reserve and found.free < reserve + MEASURED:
            raise Full(
                f"no room is left in {self._root} but the {words(reserve)} that stay free (`shelf.reserve`); free some "
                "there, or keep blobs elsewhere with `shelf.directory`"
            )

    async def _read(self, file: BinaryIO, left: int) -> AsyncIterator[bytes]:
        while left > 0 and (chunk := await self._disk(file.read, min(CHUNK, left))):
            left -= len(chunk)
            yield chunk

    def _keep(self, part: Part, path: Path, sweep: bool) -> bool:
        _check(part.digest, path.name)
        part.settle()
        with self._counting:
            is_new = not path.exists()
            set_mark(path, sweep, is_new)  # First: a crash may leave one that is kept too long, none that is swept.
            part.rename()
            if is_new:
                self._usage = Usage(self._usage.count + 1, self._usage.size + part.size)
        sync(path.parent)
        return is_new

    def _keep_on(self, path: Path, sweep: bool) -> None:
        with self._counting:
            if not path.exists():
                raise Unavailable(f"the blob {path.name[:12]} was removed while it was put; put it again")
            set_mark(path, sweep, is_new=False)
        sync(path.parent)  # Whoever put it may not have come to that yet.

    def _asked(self, path: Path) -> Blob | None:
        with self._counting:
            if (found := _blob(path)) and found.asked:
                with contextlib.suppress(OSError):  # A disk that takes no writes is read all the same.
                    os.utime(mark_of(path))
            return found

    def _delete(self, path: Path, as_seen: Blob | None = None) -> bool:
        """`as_seen`: only if it may be swept, and nobody has asked for it since."""
        with self._counting:
            found = _blob(path)
            if found is None or (as_seen and (not found.asked or found.asked != as_seen.asked)):
                return False
            path.unlink()
            mark_of(path).unlink(missing_ok=True)
            self._usage = Usage(self._usage.count - 1, self._usage.size - found.size)
        sync(path.parent)
        return True

    async def _disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread, and say in flynn's words what the disk complains of."""
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            raise _problem(self._root, error) from None


def _check(found: str, wanted: str) -> None:
    if found != wanted:
        raise Invalid(
            f"the bytes have the SHA-256 {found}, not {wanted} as their name says; nothing was kept",
            sha256=found,
            wanted=wanted,
        )


def _problem(root: Path, error: OSError) -> FlynnError:
    if error.errno in NO_ROOM:
        return Full(
            f"no room is left in {root} ({error.strerror}); free some there, or keep blobs elsewhere with "
            "`shelf.directory`"
        )
    return Unavailable(
        f"the disk under {root} fails ({error.strerror}); mend it, or keep blobs elsewhere with `shelf.directory`"
    )


def _swept(root: Path) -> Usage:
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob("??/*.part"):
        leftover.unlink()
    for mark in root.glob(f"??/*{MARK}"):
        if not mark.with_name(mark.name.removesuffix(MARK)).exists():
            mark.unlink()
    sizes = [blob.size for blob in _scan(root)]
    _make_all(root)
    return Usage(len(sizes), sum(sizes))


def _make_all(root: Path) -> None:
    """All directories that blobs may come into: who puts one waits for the disk less often then. A disk that takes no
    more of them is read all the same."""
    there = set(os.listdir(root))
    missing = [name for name in (f"{number:02x}" for number in range(256)) if name not in there]
    with contextlib.suppress(OSError):
        for name in missing:
            (root / name).mkdir(exist_ok=True)
        if missing:
            sync(root)


def _scan(root: Path) -> Iterator[Blob]:
    for path in root.glob("??/*"):
        if DIGEST.fullmatch(path.name) and (blob := _blob(path)):
            yield blob


def _blob(path: Path) -> Blob | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    try:
        asked = mark_of(path).stat().st_mtime
    except FileNotFoundError:
        asked = 0.0
    return Blob(path.name, found.st_size, found.st_mtime, asked)


def _opened(path: Path, start: int) -> BinaryIO | None:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    file.seek(start)
    return file

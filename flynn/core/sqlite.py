"""The embedded store: SQLite in the data directory, for a grid of one machine.

All of SQLite happens on one thread of its own, never on the loop. Commits that wait at the same time share one
transaction, thus one flush of the disk. An acknowledged commit survives the death of the process, and of the machine
as far as its disk keeps what it said it wrote.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from flynn.core.database import Database, Work
from flynn.core.errors import NotFound, Unavailable
from flynn.core.store import TIMEOUT, Batch, Item, Op, Range, Unchanged, check_commit
from flynn.core.storefile import open_database

HISTORY = 10_000
"""Commits that a watch can go back."""

RETRY = 0.5
"""Seconds until an ended lease is removed again after the disk refused."""


class SqliteStore:
    """See `open_sqlite`. `timeout`: seconds that a call waits for its turn, and a read for the disk.

    A write that has begun is waited for without limit: whether it happened is not known before the disk says so.
    """

    def __init__(self, path: Path, database: Database, thread: ThreadPoolExecutor, leases: dict[int, float]) -> None:
        self.path = path
        self.timeout = TIMEOUT
        self.revision = database.revision
        self._database = database
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Work, Future[Any]]] = deque()
        self._flushing = False
        self._grew = asyncio.Event()
        self._closed = False
        self._ends = {lease: (ttl, self._loop.time() + ttl) for lease, ttl in leases.items()}
        self._granted = asyncio.Event()

    @property
    def name(self) -> str:
        return f"SQLite in {self.path}"

    async def get(self, key: str) -> Item | None:
        return cast(Item | None, await self.read(lambda db: db.get(key)))

    async def range(self, prefix: str = "") -> Range:
        return cast(Range, await self.read(lambda db: db.range(prefix)))

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        check_commit(ops, guards)
        ops, guards = tuple(ops), tuple(guards)
        return cast(int, await self._write(lambda db: db.commit(ops, guards)))

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[AsyncIterator[Batch]]:
        return _watching(self, prefix, after)

    async def grant(self, ttl: float) -> int:
        lease = cast(int, await self._write(lambda db: db.grant(ttl)))
        self._ends[lease] = ttl, self._loop.time() + ttl
        self._granted.set()
        return lease

    async def renew(self, lease: int) -> None:
        if lease not in self._ends:
            raise NotFound(f"lease {lease} has ended")
        ttl, _ = self._ends[lease]
        self._ends[lease] = ttl, self._loop.time() + ttl

    async def revoke(self, lease: int) -> None:
        known = self._ends.pop(lease, None)
        try:
            await self._write(lambda db: db.revoke(lease))
        except BaseException:
            if known:
                self._ends[lease] = known
            raise

    async def read(self, work: Work) -> Any:
        """What `work` reads from the database, after all that was acknowledged. Unavailable."""
        self._check_open()
        answer = asyncio.wrap_future(self._thread.submit(self._database.read, work))
        if not await self._done(answer):
            answer.cancel()
            raise Unavailable(f"{self.name} did not answer within {self.timeout:g} s; look at the disk")
        return await answer

    async def grown(self, revision: int) -> None:
        """Wait for a commit after `revision`. Unavailable: the store was closed."""
        while self.revision <= revision:
            self._check_open()
            await self._grew.wait()

    async def expire(self) -> None:
        """Remove leases when they end, for ever."""
        while True:
            now = self._loop.time()
            try:
                for lease in [lease for lease, (_, end) in self._ends.items() if end <= now]:
                    await self.revoke(lease)
            except Unavailable:
                await asyncio.sleep(RETRY)
                continue
            self._granted.clear()
            try:
                async with asyncio.timeout_at(min((end for _, end in self._ends.values()), default=None)):
                    await self._granted.wait()
            except TimeoutError:
                pass

    def close(self) -> None:
        """Take no more work; what was taken is done before anything that the thread is given from now on."""
        self._closed = True
        self._advance(self.revision)

    async def _write(self, work: Work) -> Any:
        self._check_open()
        future: Future[Any] = Future()
        self._waiting.append((work, future))
        if not self._flushing:
            self._flushing = True
            self._thread.submit(self._flush)
        answer = asyncio.wrap_future(future)
        if not await self._done(answer) and future.cancel():
            raise Unavailable(f"{self.name} did not get to it within {self.timeout:g} s; look at the disk")
        return await answer

    async def _done(self, answer: asyncio.Future[Any]) -> bool:
        """Whether the thread answers within the limit. A caller that is cancelled takes back what has not begun."""
        try:
            done, _ = await asyncio.wait([answer], timeout=self.timeout)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        return bool(done)

    def _flush(self) -> None:
        """On the thread: one transaction of all that waits."""
        # Cleared before the first is taken: what is appended later comes with a flush of its own, at worst an idle one.
        self._flushing = False
        group = []
        while self._waiting:
            work, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                group.append((work, future))
        if not group:
            return
        try:
            results = self._database.group([work for work, _ in group])
        except Exception as error:
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._loop.call_soon_threadsafe(self._advance, self._database.revision)

    def _advance(self, revision: int) -> None:
        self.revision = revision
        self._grew.set()
        self._grew = asyncio.Event()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"{self.name} is closed")


class _Batches:
    """The commits that one watcher has not seen yet, read from the database some at a time."""

    def __init__(self, store: SqliteStore, prefix: str, after: int) -> None:
        self._store, self._prefix, self._after = store, prefix, after
        self._ready: deque[Batch] = deque()

    async def read(self) -> None:
        """Read on, if there may be more. Compacted."""
        prefix, after = self._prefix, self._after
        found, self._after = await self._store.read(lambda db: db.since(prefix, after))
        self._ready.extend(found)

    def __aiter__(self) -> "_Batches":
        return self

    async def __anext__(self) -> Batch:
        while not self._ready:
            await self._store.grown(self._after)
            await self.read()
        return self._ready.popleft()


@asynccontextmanager
async def _watching(store: SqliteStore, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
    batches = _Batches(store, prefix, after)
    await batches.read()
    yield batches


@asynccontextmanager
async def open_sqlite(path: Path, history: int = HISTORY) -> AsyncIterator[SqliteStore]:
    """The store in the file `path`, made if there is none. `history`: commits that a watch can go back.

    A lease that was alive when the process ended has its whole time again. StartError: the file is in use, damaged,
    or of a newer flynn.
    """
    loop = asyncio.get_running_loop()
    thread, open_files = ThreadPoolExecutor(1, thread_name_prefix="store"), ExitStack()
    try:
        database = await loop.run_in_executor(thread, lambda: open_files.enter_context(open_database(path, history)))
        leases = await loop.run_in_executor(thread, database.leases)
        store = SqliteStore(path, database, thread, leases)
        expiring = asyncio.create_task(store.expire(), name="lease expiry")
        try:
            yield store
        finally:
            store.close()
            expiring.cancel()
            await asyncio.gather(expiring, return_exceptions=True)
            await loop.run_in_executor(thread, open_files.close)
    finally:
        thread.shutdown(wait=False)

"""The daemon's one lease: what it holds in the grid lives as long as the daemon does, and a little longer.

A brick states a leased fact once; it is written again by itself when the lease was lost (a long outage of the
store) and a new one was granted. A daemon that stops leaves its lease to run out: its jobs live on, and the daemon
that follows takes the facts over. A brick removes those that end with it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from flynn.core.errors import FlynnError, NotFound, Unavailable
from flynn.core.facts import encode
from flynn.core.model import Record
from flynn.core.store import COMMIT_LIMIT, VALUE_LIMIT, Delete, Op, Put, Store, check_commit

log = logging.getLogger(__name__)

TTL = 10.0
"""Seconds that a daemon which fell silent is still believed to live."""

RETRY = 0.5
"""Seconds between two tries to reach a store that does not answer."""

BEFORE = 30.0
"""Seconds for which the lease of the daemon before is kept too: what it held is stated anew, or was of it alone."""


@dataclass(eq=False)
class NodeLease:
    """Leased facts of this daemon. Opened by `open_lease`."""

    store: Store
    ttl: float = TTL
    id: int = 0
    valid_until: float = 0.0
    """The moment, by `time.monotonic()`, from which the lease may have ended."""

    before: int = 0
    """The lease of the daemon that handed over to this one, while it is kept."""

    before_until: float = 0.0
    _facts: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    _dirty: dict[str, list[asyncio.Future[int]]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, key: str, record: Record, *, leased: bool = True) -> int:
        """Hold `record` at `key` from now on; the revision of the write. Waits through an outage of the store.

        Without `leased` the record is only written, by the same means: it stays when the daemon goes. The newest
        record of a key wins, so a caller need not wait before it puts the next. Invalid: it is too large.
        """
        value = encode(record)
        check_commit([Put(key, value)])
        self._facts[key] = value, leased
        return await self._written(key)

    async def delete(self, key: str) -> int:
        """Hold `key` no longer; the revision of the removal. Waits through an outage of the store."""
        self._facts.pop(key, None)
        return await self._written(key)

    def holds(self, key: str) -> bool:
        """Whether some brick of this daemon states a fact at `key` now."""
        return key in self._facts

    def valid(self) -> bool:
        """Whether the lease has surely not ended."""
        return time.monotonic() < self.valid_until

    async def keep(self) -> None:
        """Renew the lease and write what changed, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renewing(), name="lease renewal")
            tasks.create_task(self._writing(), name="lease writes")

    async def begin(self) -> None:
        """A new lease in place of none or of one that ended; every fact is to be written anew."""
        asked = time.monotonic()
        self.id = await self.store.grant(self.ttl)
        self.valid_until = asked + self.ttl
        for key, (_, leased) in self._facts.items():
            if leased:
                self._dirty.setdefault(key, [])
        self._wake.set()

    async def _written(self, key: str) -> int:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._dirty.setdefault(key, []).append(done)
        self._wake.set()
        return await done

    async def _renewing(self) -> None:
        while True:
            await self._renew_before()
            await asyncio.sleep(self.ttl / 4)
            while not await self._renewed():
                await asyncio.sleep(RETRY)

    async def _renew_before(self) -> None:
        if self.before and time.monotonic() < self.before_until:
            try:
                await self.store.renew(self.before)
            except NotFound:
                self.before = 0
            except FlynnError as error:
                log.info("the lease of the daemon before could not be renewed: %s", error)

    async def _renewed(self) -> bool:
        """Try once to renew the lease, or to take a new one if it ended; whether that worked."""
        try:
            asked = time.monotonic()
            await self.store.renew(self.id)
            self.valid_until = asked + self.ttl
            return True
        except NotFound:
            log.warning("the lease of this daemon ended (the store was away too long); taking a new one")
        except Unavailable:
            return False
        except FlynnError:
            log.exception("the lease of this daemon could not be renewed")
            return False
        try:
            await self.begin()
        except FlynnError as error:
            log.info("no new lease yet: %s", error)
            return False
        return True

    async def _writing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                await self._write_some()

    async def _write_some(self) -> None:
        batch = {key: (self._dirty.pop(key), self._facts.get(key)) for key in self._next_keys()}
        try:
            revision = await self.store.commit([self._op(key, fact) for key, (_, fact) in batch.items()])
        except FlynnError as error:
            if not isinstance(error, Unavailable | NotFound):
                log.error("%s of this daemon cannot be written: %s", ", ".join(batch), error)
            for key, (waiting, _) in batch.items():
                self._dirty.setdefault(key, [])[:0] = waiting
            await asyncio.sleep(RETRY)
            return
        for key, (_, fact) in batch.items():
            if fact and not fact[1] and self._facts.get(key) is fact:
                del self._facts[key]
        for done in [done for waiting, _ in batch.values() for done in waiting]:
            if not done.done():
                done.set_result(revision)

    def _next_keys(self) -> list[str]:
        """As many keys to write as one commit takes: COMMIT_LIMIT, and VALUE_LIMIT bytes together. What is leased comes
        first: who reads what is only written finds what it tells of."""
        found: list[str] = []
        size, nothing = 0, (b"", False)
        for key in sorted(self._dirty, key=lambda key: not self._facts.get(key, nothing)[1]):
            value, _ = self._facts.get(key, nothing)
            size += len(value)
            if len(found) == COMMIT_LIMIT or (found and size > VALUE_LIMIT):
                break
            found.append(key)
        return found

    def _op(self, key: str, fact: tuple[bytes, bool] | None) -> Op:
        if fact is None:
            return Delete(key)
        value, leased = fact
        return Put(key, value, self.id if leased else 0)


@asynccontextmanager
async def open_lease(store: Store, ttl: float = TTL, before: int = 0) -> AsyncIterator[NodeLease]:
    """The lease of this daemon, granted and kept, and for a while also that of the daemon `before`, which handed over.

    Unavailable: the store does not answer.
    """
    lease = NodeLease(store, ttl, before=before, before_until=time.monotonic() + BEFORE)
    await lease.begin()
    keeping = asyncio.create_task(lease.keep(), name="lease")
    try:
        yield lease
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

"""One among many: a leader under the daemon's lease, and locks by the same means.

A leader's every commit carries `fence`, the revision of its election key: once the lease has ended the key is gone,
and no commit of the old leader can happen any more. It also stops deciding by itself before the lease can have ended.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flynn.core import keys
from flynn.core.errors import Conflict, FlynnError, NotFound, Unavailable
from flynn.core.facts import Facts, encode
from flynn.core.lease import NodeLease
from flynn.core.mirror import Mirror
from flynn.core.model import Leader
from flynn.core.store import Delete, Put, Store, Unchanged

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two tries to reach a store that does not answer."""

NEVER = -1
"""A revision that no key ever has."""


@dataclass(eq=False)
class Claim:
    """A key that only one daemon of the grid can hold. `host` is this one's name, unique in the grid."""

    key: str
    host: str
    store: Store
    mirror: Mirror
    lease: NodeLease
    _revision: int = 0

    @property
    def held(self) -> bool:
        """Whether this daemon surely holds the key now."""
        return bool(self._revision) and self.lease.valid() and not self._taken(self.mirror.facts)

    @property
    def fence(self) -> tuple[Unchanged, ...]:
        """The guard that makes a commit fail once the key is lost."""
        return (Unchanged(self.key, self._revision or NEVER),)

    async def hold(self) -> None:
        """Wait until the key is free (or left by an earlier life of this host), then hold it. No limit of its own.

        Cancelled, it lets go of what it may have got meanwhile, which takes as long as two calls on the store at most.
        """
        while True:
            await self.mirror.until(self._free, None)
            taking = asyncio.create_task(self._take(), name=f"take {self.key}")
            try:
                if await asyncio.shield(taking):
                    return
            except asyncio.CancelledError:
                await asyncio.wait([taking])
                await self.release()
                raise
            await asyncio.sleep(RETRY)

    async def lost(self) -> None:
        """Wait until the key is not surely held any more: someone removed it, or the lease may have ended."""
        while self.held:
            left = self.lease.valid_until - time.monotonic()
            try:
                await self.mirror.until(self._taken, max(left, 0.0))
            except TimeoutError:
                continue
        self._revision = 0

    async def release(self) -> None:
        """Let go at once, so that another need not wait for the lease to end."""
        if self._revision:
            try:
                await self.store.commit([Delete(self.key)], self.fence)
            except FlynnError as error:
                log.info("%s could not be let go; it ends with the lease (%s)", self.key, error)
            self._revision = 0

    async def _take(self) -> bool:
        value = encode(Leader(host=self.host))
        guard = self.mirror.facts.unchanged(self.key)
        try:
            self._revision = await self.store.commit([Put(self.key, value, self.lease.id)], [guard])
        except (Conflict, NotFound, Unavailable):
            return False
        try:
            await self.mirror.reach(self._revision)
        except Unavailable:
            await self.release()
            return False
        return True

    def _taken(self, facts: Facts) -> bool:
        stamp = facts.stamp(self.key)
        return facts.revision >= self._revision and (stamp is None or stamp.revision != self._revision)

    def _free(self, facts: Facts) -> bool:
        holder = facts.get(self.key)
        return not isinstance(holder, Leader) or holder.host == self.host


@asynccontextmanager
async def locked(
    key: str, host: str, store: Store, mirror: Mirror, lease: NodeLease, timeout: float
) -> AsyncIterator[Claim]:
    """Hold a lock of the whole grid; TimeoutError when it is not free within `timeout` seconds.

    Locks are between daemons: a lock that this same daemon holds already is taken over, not waited for.
    """
    claim = Claim(keys.lock(key), host, store, mirror, lease)
    async with asyncio.timeout(timeout):
        await claim.hold()
    try:
        yield claim
    finally:
        await claim.release()

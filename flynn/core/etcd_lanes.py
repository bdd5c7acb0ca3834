"""Commits to etcd that happen once or not at all, also when the answer is lost.

An error in place of an answer says nothing: the commit may have happened, or may happen yet. So each commit also
writes a nonce to a key of its own, its *lane*, and compares the revision at which the lane was last written. After
an error the lane is deleted by a transaction with the same comparison: if that succeeds, the commit has not happened
and never can, for its comparison fails from then on; if not, the lane holds the commit's nonce, and the revision it
was written at is the commit's. (Deleted, not written: etcd still deletes when its quota is used up.)

One gap is left, which nobody can close from this side of the wire: when etcd cannot be reached to settle the matter
before the caller's limit, the caller is told Unavailable though the commit may have happened. It is kept small: the
lane is settled in the background as soon as etcd answers again, and no commit is sent while the last one is in doubt
before a write without effect (a new lane) has gone through.

Lanes live under a lease that is renewed only as long as commits come; it ends with the store at the latest.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from typing import Any

from flynn.core.errors import FlynnError, NotFound, Unavailable
from flynn.core.etcd_lease import grant, renew, revoke
from flynn.core.etcd_link import LEADER, PAUSE, Endpoint, Exhausted, Link, Unanswered
from flynn.core.etcd_rpc import rpc
from flynn.core.etcd_txn import (
    Lane,
    Transaction,
    as_known,
    changed,
    commit_request,
    conflict,
    fence_request,
    guards_request,
)
from flynn.core.store import TIMEOUT

log = logging.getLogger(__name__)

PREFIX = "/flynn/lanes/"
"""Outside of the keyspace of facts: neither a range nor a watch over them has to leave lanes out."""

LANES = 16
"""Commits at once, those in doubt included. The others wait their turn."""

TTL = 60
"""Seconds that lanes stay after the last renewal of their lease."""

MARGIN = 3 * TIMEOUT
"""Seconds that the lease must surely last when a commit is sent: it must not end before the commit is settled."""

LEAST = 1.5
"""Seconds that must be left of the caller's limit when a commit is sent, so that it can be settled in time."""


@dataclass(eq=False)
class Lanes:
    """The lanes of one store. Closed by `close`."""

    link: Link
    _id: str = field(default_factory=lambda: secrets.token_hex(8))
    _made: int = 0
    _lease: int = 0
    _lease_until: float = 0.0
    _leasing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _free: list[Lane] = field(default_factory=list)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LANES))
    _settling: set[asyncio.Task[None]] = field(default_factory=set)

    async def commit(self, transaction: Transaction) -> int:
        """Do it once; its revision, 0 if it changed nothing.

        Conflict, NotFound (a lease), Invalid (too large for etcd); Unavailable within TIMEOUT.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + TIMEOUT
        while True:
            lane = await self._take(deadline)
            if clock() + LEAST > deadline:
                self._give_back(lane)
                raise Unavailable(f"{self.link.name} answers too slowly; nothing was changed")
            try:
                return await self._run(lane, transaction, deadline)
            except Unanswered as error:
                if clock() + PAUSE + LEAST > deadline:
                    raise Unavailable(
                        f"{self.link.name} gave no answer within {TIMEOUT:g} s, nothing was changed ({error})"
                    ) from None
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """End the lease: all lanes go, and with them whatever might still have happened on them."""
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)
        if self._lease:
            try:
                await revoke(self.link, self._lease, asyncio.get_running_loop().time() + 1)
            except FlynnError as error:
                log.debug("the lanes are left to their lease: %s", error)

    async def _run(self, lane: Lane, transaction: Transaction, deadline: float) -> int:
        """One try on this lane, settled. Unanswered: it has not happened and never will."""
        nonce = secrets.token_bytes(12)
        request = commit_request(lane, nonce, transaction)
        try:
            answer = await self.link.once(
                lambda e, t: e.kv.Txn(request, timeout=t, metadata=LEADER), deadline - LEAST / 2
            )
        except (Unanswered, Exhausted) as error:
            self._free.clear()
            if isinstance(error, Exhausted) or error.sent:
                return await self._settle_now(lane, nonce, deadline, error)
            self._drop()
            raise
        except asyncio.CancelledError:
            self._settle_later(lane, nonce)
            raise
        except FlynnError:
            self._give_back(lane)
            raise
        return await self._read(lane, transaction, answer, deadline)

    async def _read(self, lane: Lane, transaction: Transaction, answer: Any, deadline: float) -> int:
        """What the answer to a commit says."""
        if answer.succeeded:
            lane.revision = answer.header.revision
            self._give_back(lane)
            return lane.revision if changed(answer) else 0
        if as_known(lane, answer):
            self._give_back(lane)
            raise conflict(transaction, await self._guards(transaction, answer.header.revision, deadline))
        self._drop()
        raise Unanswered("the lane was gone", sent=False)

    async def _guards(self, transaction: Transaction, revision: int, deadline: float) -> Any | None:
        """The guards of a commit as they were when it failed, at this revision; None: that cannot be read any more."""
        request = guards_request(transaction, revision)
        try:
            return await self.link.call(lambda e, t: e.kv.Txn(request, timeout=t, metadata=LEADER), deadline)
        except FlynnError:
            return None

    async def _settle_now(self, lane: Lane, nonce: bytes, deadline: float, why: Exception) -> int:
        """The revision if the commit has happened; `why` if it has not and never will. Unavailable: not settled."""
        try:
            happened = await self._settle(lane, nonce, deadline)
        except BaseException as error:
            self._settle_later(lane, nonce)
            if isinstance(error, FlynnError):
                raise Unavailable(
                    f"{self.link.name} gave no answer within {TIMEOUT:g} s, and it cannot be told whether the last "
                    f"commit was done ({why}); look before you repeat it"
                ) from None
            raise
        if not happened:
            self._drop()
            raise why
        self._give_back(lane)
        return lane.revision

    async def _settle(self, lane: Lane, nonce: bytes, deadline: float) -> bool:
        """Whether the commit has happened; if not, it never can from now on. Unavailable: etcd cannot be reached."""
        request = fence_request(lane)
        answer = await self.link.call(lambda e, t: e.kv.Txn(request, timeout=t, metadata=LEADER), deadline)
        if answer.succeeded:
            return False
        found = answer.responses[0].response_range.kvs
        if not found:
            return False
        lane.revision = found[0].mod_revision
        return bool(found[0].value == nonce)

    def _settle_later(self, lane: Lane, nonce: bytes) -> None:
        task = asyncio.create_task(self._settle_some_time(lane, nonce), name="settle a commit in doubt")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle_some_time(self, lane: Lane, nonce: bytes) -> None:
        while True:
            try:
                happened = await self._settle(lane, nonce, asyncio.get_running_loop().time() + TIMEOUT)
                break
            except Unavailable:
                await asyncio.sleep(1)
        if happened:
            log.warning("a commit that was given up has happened after all, at revision %d", lane.revision)
            self._give_back(lane)
        else:
            self._drop()

    async def _take(self, deadline: float) -> Lane:
        """A lane that no one uses, and a slot with it."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable(
                f"{LANES} commits already wait for {self.link.name}; nothing was changed, try again"
            ) from None
        try:
            lease = await self._leased(deadline)
            return self._free.pop() if self._free else await self._make(lease, deadline)
        except BaseException:
            self._slots.release()
            raise

    def _give_back(self, lane: Lane) -> None:
        if lane.lease == self._lease:
            self._free.append(lane)
        self._slots.release()

    def _drop(self) -> None:
        """Give back the slot of a lane that is gone, or not to be used again."""
        self._slots.release()

    async def _make(self, lease: int, deadline: float) -> Lane:
        async def make(endpoint: Endpoint, timeout: float) -> Lane:
            self._made += 1  # a new name each try: a late write of the try before must not hit a lane in use
            key = f"{PREFIX}{self._id}-{self._made}".encode()
            request = rpc.PutRequest(key=key, lease=lease)
            answer = await endpoint.kv.Put(request, timeout=timeout, metadata=LEADER)
            return Lane(key, lease, answer.header.revision)

        try:
            return await self.link.call(make, deadline)
        except NotFound:
            self._lease_until = 0.0
            raise Unavailable(f"{self.link.name} has dropped a lease before its time; nothing was changed") from None

    async def _leased(self, deadline: float) -> int:
        """The lease of the lanes, sure to last for MARGIN from now on."""
        clock = asyncio.get_running_loop().time
        async with self._leasing:
            asked = clock()
            if self._lease_until - asked < MARGIN:
                if not (self._lease_until > asked and await renew(self.link, self._lease, deadline)):
                    self._free.clear()
                    self._lease = await grant(self.link, TTL, deadline)
                self._lease_until = asked + TTL
            return self._lease

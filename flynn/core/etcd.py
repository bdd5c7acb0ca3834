"""The store of a grid of several machines: etcd, 3.4 or later.

Several endpoints may be named: a call that one does not answer goes to the next, within the limit of the call.
Commits happen once or not at all whatever the network does; `etcd_lanes` tells how, and the one gap that is left.
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from flynn.core import keys
from flynn.core.errors import Compacted, NotFound, Unavailable
from flynn.core.etcd_lanes import Lanes
from flynn.core.etcd_lease import grant, renew, revoke
from flynn.core.etcd_link import LEADER, Link, open_link
from flynn.core.etcd_rpc import rpc
from flynn.core.etcd_txn import Transaction
from flynn.core.etcd_watch import item, open_watch, range_end
from flynn.core.store import Batch, Item, Op, Put, Range, Unchanged, check_commit

CUT = len(keys.PREFIX)

PAGE = 2000
"""Keys asked for at once, so that reading a large grid holds up nothing else for long."""

LEAST_TTL = 2
"""Seconds: etcd's own lower limit with its default timing."""


@dataclass(eq=False)
class EtcdStore:
    """The facts in etcd, under `keys.PREFIX`. Opened by `open_etcd`."""

    link: Link
    lanes: Lanes
    _written: int = 0

    @property
    def name(self) -> str:
        return self.link.name

    async def get(self, key: str) -> Item | None:
        answer = await self._read(rpc.RangeRequest(key=_full(key)))
        return item(answer.kvs[0], CUT) if answer.kvs else None

    async def range(self, prefix: str = "") -> Range:
        for _ in range(3):
            try:
                return await self._pages(_full(prefix))
            except Compacted:
                continue
        raise Unavailable(f"{self.name} is compacted faster than it can be read; try again")

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        check_commit(ops, guards)
        seen = [(_full(guard.key), guard.revision) for guard in guards]
        revision = await self.lanes.commit(Transaction([_op(op) for op in ops], seen))
        self._written = max(self._written, revision)
        return revision or await self._last_change()

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[AsyncIterator[Batch]]:
        return open_watch(self.link, keys.PREFIX, prefix, after)

    async def grant(self, ttl: float) -> int:
        """As the protocol says; in whole seconds, LEAST_TTL at least."""
        return await grant(self.link, max(LEAST_TTL, math.ceil(ttl)))

    async def renew(self, lease: int) -> None:
        """As the protocol says. An etcd cut off from the others may renew what has ended: guard what you write."""
        if not await renew(self.link, lease):
            raise NotFound(f"lease {lease} has ended")

    async def revoke(self, lease: int) -> None:
        await revoke(self.link, lease)

    async def _last_change(self) -> int:
        """The last revision known to have changed a fact: one that a watch shows, unlike those that mark lanes only."""
        key = _full("")
        newest = rpc.RangeRequest(
            key=key, range_end=range_end(key), limit=1, keys_only=True,
            sort_target=rpc.RangeRequest.MOD, sort_order=rpc.RangeRequest.DESCEND,
        )  # fmt: skip
        answer = await self._read(newest)
        return max([self._written, *(int(kv.mod_revision) for kv in answer.kvs)])

    async def _pages(self, prefix: bytes) -> Range:
        end, start, revision = range_end(prefix), prefix, 0
        items: list[Item] = []
        while True:
            answer = await self._read(rpc.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision))
            revision = revision or answer.header.revision
            items += [item(kv, CUT) for kv in answer.kvs]
            if not answer.more:
                return Range(tuple(items), revision)
            start = answer.kvs[-1].key + b"\0"

    async def _read(self, request: Any) -> Any:
        return await self.link.call(lambda e, t: e.kv.Range(request, timeout=t, metadata=LEADER))


@asynccontextmanager
async def open_etcd(endpoints: Sequence[str]) -> AsyncIterator[EtcdStore]:
    """The store at these endpoints, `http://host:port` or `host:port`. StartError: one of them is no good.

    It connects with the first call, which says Unavailable if nobody answers.
    """
    async with open_link(endpoints) as link:
        lanes = Lanes(link)
        try:
            yield EtcdStore(link, lanes)
        finally:
            await lanes.close()


def _full(key: str) -> bytes:
    return (keys.PREFIX + key).encode()


def _op(op: Op) -> Any:
    if isinstance(op, Put):
        return rpc.RequestOp(request_put=rpc.PutRequest(key=_full(op.key), value=op.value, lease=op.lease))
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=_full(op.key)))

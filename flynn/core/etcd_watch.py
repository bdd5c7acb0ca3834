"""A watch on etcd, commit by commit, that notices within seconds when nobody is at the other end any more."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from flynn.core.errors import Compacted, Unavailable
from flynn.core.etcd_link import LEADER, Endpoint, Link
from flynn.core.etcd_rpc import rpc
from flynn.core.store import Batch, Item

ASK = 2.0
"""Seconds between two requests for a sign of life (a progress notification, etcd >= 3.4)."""

PUT, DELETE = rpc.Event.PUT, rpc.Event.DELETE

SILENCE = 6.0
"""Seconds without any sign after which the connection counts as dead."""


@asynccontextmanager
async def open_watch(
    link: Link, root: str, prefix: str, after: int, ask: float = ASK, silence: float = SILENCE
) -> AsyncIterator[AsyncIterator[Batch]]:
    """Every commit after the revision `after` to keys that begin with `root + prefix`, named without `root`."""
    key = (root + prefix).encode()
    # From `after` itself, seen already and left out below: so a compaction at `after` + 1, which may have taken
    # the trace of a key removed then, is told as Compacted.
    create = rpc.WatchCreateRequest(key=key, range_end=range_end(key), start_revision=max(after, 1))

    async def begin(endpoint: Endpoint, timeout: float) -> tuple[Endpoint, Any]:
        call = endpoint.watch.Watch(metadata=LEADER)
        try:
            async with asyncio.timeout(timeout):
                await call.write(rpc.WatchRequest(create_request=create))
                response = await call.read()
                if not isinstance(response, rpc.WatchResponse):
                    raise TimeoutError
                _check(response, link)
                if response.header.revision < after:
                    await _check_history(endpoint, after, timeout)
        except BaseException:
            call.cancel()
            raise
        return endpoint, call

    endpoint, call = await link.call(begin)
    watched = _Watched(link, endpoint, call, silence)
    tasks = [
        asyncio.create_task(_ask(call, ask), name="watch: signs of life"),
        asyncio.create_task(watched.end_if_silent(), name="watch: silence"),
    ]
    try:
        async with aclosing(watched.batches(len(root), after)) as batches:
            yield batches
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        call.cancel()


async def _check_history(endpoint: Endpoint, after: int, timeout: float) -> None:
    """Tell a member that lags (it catches up before it answers a read) from an etcd whose history went back."""
    answer = await endpoint.kv.Range(rpc.RangeRequest(key=b"\0", count_only=True), timeout=timeout, metadata=LEADER)
    if answer.header.revision < after:
        raise Compacted(f"etcd is at revision {answer.header.revision}, before {after}: it was restored; read afresh")


async def _ask(call: Any, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        await call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))


class _Watched:
    """A watch that has begun. It ends by itself once nothing has come for `silence` seconds to one who waits for it.

    A task of its own sees to that, as a limit for each answer would cost much beside it.
    """

    def __init__(self, link: Link, endpoint: Endpoint, call: Any, silence: float) -> None:
        self.link, self.endpoint, self.call, self.silence = link, endpoint, call, silence
        self._now = asyncio.get_running_loop().time
        self._since = 0.0
        """Since when the next answer is waited for (0: it is not, as whoever follows has not taken the last)."""

        self._silent = False

    async def end_if_silent(self) -> None:
        while not self._since or (left := self._since + self.silence - self._now()) > 0:
            await asyncio.sleep(left if self._since else self.silence)
        self._silent = True
        self.call.cancel()

    async def batches(self, cut: int, after: int) -> AsyncGenerator[Batch, None]:
        """The commits after `after`, keys without their first `cut` characters, without end. Compacted, Unavailable."""
        while True:
            response = await self._read()
            for batch in split(response.events, cut):
                if batch.revision > after:
                    yield batch

    async def _read(self) -> Any:
        self._since = self._now()
        try:
            response = await self.call.read()
        except rpc.AioRpcError as error:
            self.link.leave(self.endpoint)
            raise _broken(self.endpoint, error.details()) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._silent or (task and task.cancelling()):
                raise
            self.link.leave(self.endpoint)
            told = f"the watch on etcd at {self.endpoint.address} has fallen silent; watch again"
            raise Unavailable(told) from None
        if not isinstance(response, rpc.WatchResponse):
            self.link.leave(self.endpoint)
            raise _broken(self.endpoint, "it was closed")
        self._since = 0.0
        _check(response, self.link)
        return response


def _broken(endpoint: Endpoint, why: str | None) -> Unavailable:
    return Unavailable(f"the watch on etcd at {endpoint.address} broke off ({why}); watch again")


def _check(response: Any, link: Link) -> None:
    if response.compact_revision:
        raise Compacted(f"the revision asked for is gone; the oldest is {response.compact_revision}")
    if response.canceled:
        raise Unavailable(f"{link.name} has ended the watch ({response.cancel_reason}); watch again")


def split(events: Any, cut: int) -> list[Batch]:
    """The commits among the events of one response, keys without their first `cut` characters.

    etcd may put several revisions into one response, but never one revision into several, unless asked for fragments.
    """
    if len(events) == 1:
        return [_batch(events[0].kv.mod_revision, events, cut)]
    groups = itertools.groupby(events, key=lambda event: event.kv.mod_revision)
    return [_batch(revision, list(group), cut) for revision, group in groups]


def _batch(revision: int, events: Any, cut: int) -> Batch:
    puts = [item(event.kv, cut) for event in events if event.type == PUT]
    deletes = [event.kv.key.decode()[cut:] for event in events if event.type == DELETE]
    return Batch(revision, tuple(puts), tuple(deletes))


def item(kv: Any, cut: int) -> Item:
    """A key of etcd as the store shows it, without its first `cut` characters."""
    return Item(kv.key.decode()[cut:], kv.value, kv.create_revision, kv.mod_revision)


def range_end(key: bytes) -> bytes:
    """The end of the range of all keys that begin with `key` (ASCII)."""
    return key[:-1] + bytes([key[-1] + 1])

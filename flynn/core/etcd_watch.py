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
    asking = asyncio.create_task(_ask(call, ask), name="watch: signs of life")
    try:
        responses = _responses(link, endpoint, call, silence)
        async with aclosing(_batches(responses, len(root), after)) as batches:
            yield batches
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
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


async def _responses(link: Link, endpoint: Endpoint, call: Any, silence: float) -> AsyncGenerator[Any, None]:
    while True:
        try:
            async with asyncio.timeout(silence):
                response = await call.read()
        except TimeoutError:
            link.leave(endpoint)
            raise Unavailable(f"the watch on etcd at {endpoint.address} has fallen silent; watch again") from None
        except rpc.AioRpcError as error:
            link.leave(endpoint)
            raise _broken(endpoint, error.details()) from None
        if not isinstance(response, rpc.WatchResponse):
            link.leave(endpoint)
            raise _broken(endpoint, "it was closed")
        _check(response, link)
        yield response


async def _batches(responses: AsyncGenerator[Any, None], cut: int, after: int) -> AsyncGenerator[Batch, None]:
    async with aclosing(responses):
        async for response in responses:
            for batch in split(response.events, cut):
                if batch.revision > after:
                    yield batch


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
    batches = []
    for revision, group in itertools.groupby(events, key=lambda event: event.kv.mod_revision):
        changes = list(group)
        puts = tuple(item(e.kv, cut) for e in changes if e.type == rpc.Event.PUT)
        deletes = tuple(e.kv.key.decode()[cut:] for e in changes if e.type == rpc.Event.DELETE)
        batches.append(Batch(revision, puts, deletes))
    return batches


def item(kv: Any, cut: int) -> Item:
    """A key of etcd as the store shows it, without its first `cut` characters."""
    return Item(kv.key.decode()[cut:], kv.value, kv.create_revision, kv.mod_revision)


def range_end(key: bytes) -> bytes:
    """The end of the range of all keys that begin with `key` (ASCII)."""
    return key[:-1] + bytes([key[-1] + 1])

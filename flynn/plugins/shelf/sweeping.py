"""The sweeping of a shelf: now and then, on facts read afresh, and never while the store does not answer."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from flynn.core.errors import FlynnError, Unavailable
from flynn.plugins.shelf.blobs import BlobStore
from flynn.plugins.shelf.unused import Look, named, swept

if TYPE_CHECKING:
    from flynn.core.brick import Context

PAUSE = 900.0
"""Seconds between two passes, or an eighth of `shelf.unused` if that is less."""


async def sweeping(ctx: "Context", store: BlobStore, unused: float, on_swept: Callable[[int], None]) -> None:
    """For ever (`unused` is 0: never); `on_swept` is told how many went."""
    looks: dict[str, Look] = {}
    while unused:
        await asyncio.sleep(min(PAUSE, unused / 8))
        looks = await sweep_once(ctx, store, unused, looks, on_swept)


async def sweep_once(
    ctx: "Context", store: BlobStore, unused: float, looks: dict[str, Look], on_swept: Callable[[int], None]
) -> dict[str, Look]:
    """One pass; its looks: none, if the facts, or the blobs, cannot be read."""
    try:
        return await _sweep(ctx, store, unused, looks, on_swept)
    except FlynnError as error:
        ctx.log.info("no unused blob is removed now: %s", error)
        return {}


async def _sweep(
    ctx: "Context", store: BlobStore, unused: float, looks: dict[str, Look], on_swept: Callable[[int], None]
) -> dict[str, Look]:
    blobs = await store.list()  # Before the facts: what is put and named in between is younger than what is seen here.
    if not any(blob.asked for blob in blobs):
        return {}
    facts = await ctx.store.range()
    used = await asyncio.to_thread(named, facts.items)
    if used is None:
        raise Unavailable(f"{ctx.store.name} holds no grid")
    steady = asyncio.get_running_loop().time()
    sweep = await asyncio.to_thread(swept, blobs, used, looks, ctx.clock(), steady, unused)
    for sha256 in sweep.used:
        await store.head(sha256)
    gone = [blob for blob in sweep.gone if await store.sweep(blob)]
    if gone:
        size = sum(blob.size for blob in gone)
        ctx.log.info("removed %d blobs (%.1f MB) that nothing has used for %g s", len(gone), size / 1e6, unused)
        on_swept(len(gone))
    return sweep.looks

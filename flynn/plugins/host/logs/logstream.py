"""The log of one app as a stream of frames: from disk, then what is new from memory, and from disk again for one who
is further behind than that. So nobody who reads slowly costs memory, nor anybody else a line."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from flynn.core.logframe import Beat, Begin, Block, Frame, Live, Lost
from flynn.core.logquery import Wanted
from flynn.plugins.host.logs.applog import AppLog
from flynn.plugins.host.logs.past import Past, first, tail
from flynn.plugins.host.race import in_thread

BEAT = 10.0
"""Seconds of silence after which a stream says that it is alive."""

PIECE = 128 * 1024
"""Bytes given at once, from disk or from memory: many may follow."""


@dataclass(frozen=True)
class Asked:
    """`count`: lines of the past (None: all). `number`: where to go on instead (None: it is `count` that tells)."""

    wanted: Wanted
    count: int | None = None
    follow: bool = False
    number: int | None = None


async def frames(log: AppLog, asked: Asked, threads: Executor) -> AsyncGenerator[list[Frame], None]:
    """Begin, what is there, and with `follow` Live and what comes, for ever.

    Without `follow` it ends with what was there at first, however fast more is written.
    """
    with _following(log, asked.follow) as woken:
        end = log.told + 1
        begin = await in_thread(threads, _begin, log, asked, end)
        yield [begin]
        past = Past(log.dir, asked.wanted, begin.number)
        try:
            while found := await in_thread(threads, _read, past, end):
                yield found
            if not asked.follow:
                return
            past.close()
            yield [Live(past.number)]
            while True:
                woken.clear()
                if fresh := _some(log.after(past.number)):
                    past.skip(fresh[-1].next)
                    yield [part for block in fresh for part in asked.wanted.of(block)]
                elif fresh is None:
                    yield await in_thread(threads, _read, past, log.told + 1) or [Beat()]
                elif not await _heard(woken):
                    yield [Beat()]
        finally:
            past.close()


def _some(blocks: list[Block] | None) -> list[Block] | None:
    """The first of them, about a PIECE: what is given at once is held for each who follows."""
    if not blocks:
        return blocks
    size = 0
    for count, block in enumerate(blocks, 1):
        size += len(block.data)
        if size >= PIECE:
            return blocks[:count]
    return blocks


async def _heard(woken: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(BEAT):
            await woken.wait()
    except TimeoutError:
        return False
    return True


@contextmanager
def _following(log: AppLog, follow: bool) -> Iterator[asyncio.Event]:
    """An event that is set when the log has something new."""
    woken = asyncio.Event()
    if follow:
        log.woken.add(woken.set)
    try:
        yield woken
    finally:
        log.woken.discard(woken.set)


def _begin(log: AppLog, asked: Asked, end: int) -> Begin:
    wanted = asked.wanted
    if asked.number is not None and asked.number <= end:
        return Begin(asked.number)
    if asked.count is None or asked.number is not None:  # A number from before this log was lost and begun anew.
        return Begin(first(log.dir, wanted, end))
    return Begin(*tail(log.dir, wanted, asked.count, end))


def _read(past: Past, end: int) -> list[Frame]:
    """The next piece of the past, which says no more than that if nothing in it is wanted; nothing at its end."""
    if past.number >= end:
        return []
    before = past.number
    found = past.read(PIECE, end)
    if past.number == before:  # The rest of it is gone from disk.
        past.number = end
        return [Lost(end - before)]
    return found or [Beat()]

"""What is new in the log of an app on one host: read once, for all who follow it through this node.

The newest of it is held, as much as is stated here. Who takes what he wants of it is not waited for: one who comes to
lack something is told so, and reads it from the host (`log_follow.py`). So who reads slowly costs no memory, nor
anybody else a line.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from flynn.core.brick import Context
from flynn.core.logframe import Begin, Block, Frame, Live, Lost, Said
from flynn.core.logquery import Wanted
from flynn.plugins.controller.host_log import Reader

log = logging.getLogger(__name__)

RECENT, FRAMES = 1 << 20, 4096
"""Bytes of lines that are held of one app on one host, and pieces of them, about."""

PIECE = 32 * 1024
"""Bytes given at once, about: they are held for each who follows, as long as he does not take them."""


class Feed:
    """`reader` follows all of the log. `begin`: from which line on it is held (0: not connected yet). `over`: nothing
    more will come, for this reason."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.begin = self.followers = 0
        self.over: Said | None = None
        self._held: list[Block | Lost | Said] = []
        self._dropped = self._size = self._age = 0
        self._woken: set[Callable[[], None]] = set()

    async def run(self) -> None:
        """Read, for ever."""
        try:
            async with aclosing(self.reader.frames()) as found:
                async for frames in found:
                    self._take_all(frames)
        except Exception as error:
            log.exception("the log of %s cannot be followed", self.reader.host)
            self.over = Said(f"the log of {self.reader.host} cannot be followed: {error}; follow it anew")
            self._wake()

    async def after(self, number: int) -> AsyncGenerator[list[Frame], None]:
        """What comes from that line on, in pieces, for ever, at last why it is over; ends where something of it is not
        held, or the log was begun anew."""
        with self._waking() as woken:
            while not self.begin and not self.over:
                woken.clear()
                await woken.wait()
            age, at = self._age, self._place(number)
            while at is not None and at >= self._dropped and age == self._age:
                woken.clear()
                if frames := self._some(at - self._dropped):
                    at += len(frames)
                    yield _from(number, frames)
                elif self.over:
                    yield [self.over]
                    await asyncio.get_running_loop().create_future()  # Who follows is told, and goes when he likes.
                else:
                    await woken.wait()

    def _take_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._take(frame)
        self._make_room()
        self._wake()

    def _wake(self) -> None:
        for wake in self._woken:
            wake()

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Begin | Live):
            self._stand(frame.number)
        elif isinstance(frame, Block | Lost | Said):
            self._held.append(frame)
            self._size += _size(frame)

    def _stand(self, number: int) -> None:
        """The host tells where it goes on: after what is held, or, if its log was lost, before."""
        end = next((frame.next for frame in reversed(self._held) if isinstance(frame, Block)), self.begin)
        if number and number < end:
            self._dropped, self._age = self._dropped + len(self._held), self._age + 1
            self._held, self._size, self.begin = [], 0, number
        self.begin = self.begin or number

    def _make_room(self) -> None:
        """Drop what is oldest, half of it at a time. What has no lines says nothing to one who comes after."""
        if self._size <= RECENT and len(self._held) <= FRAMES:
            return
        at = 0
        while self._size > RECENT // 2 or len(self._held) - at > FRAMES // 2:
            self._size -= _size(self._held[at])
            if isinstance(frame := self._held[at], Block):
                self.begin = frame.next
            at += 1
        self._dropped += at
        del self._held[:at]

    def _place(self, number: int) -> int | None:
        """Where to go on with that line, counted from the first that ever was held; None: it is not held any more."""
        if number < self.begin:
            return None
        at = len(self._held)
        while at and not (isinstance(frame := self._held[at - 1], Block) and frame.next <= number):
            at -= 1
        while at < len(self._held) and isinstance(self._held[at], Said):  # Said to those who were there.
            at += 1
        return self._dropped + at

    def _some(self, at: int) -> list[Frame]:
        size, end = 0, at
        while end < len(self._held) and size < PIECE:
            size += _size(self._held[end])
            end += 1
        return [*self._held[at:end]]

    @contextmanager
    def _waking(self) -> Iterator[asyncio.Event]:
        woken = asyncio.Event()
        self._woken.add(woken.set)
        try:
            yield woken
        finally:
            self._woken.discard(woken.set)


class Feeds:
    """The feeds that somebody follows, by app and host."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._feeds: dict[tuple[str, str], tuple[Feed, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def feed(self, app: str, host: str, since: float) -> AsyncIterator[Feed]:
        """That of an app on a host, for the length of a block. `since`: as of a `Reader`."""
        key = (app, host)
        held = self._feeds.get(key)
        if held is None or held[1].done():  # Whoever follows that one still has been told that it is over.
            made = Feed(Reader(self.ctx, host, Wanted(app=app), 0, True, since))
            held = made, asyncio.create_task(made.run(), name=f"log of {app} on {host}")
            self._feeds[key] = held
        feed, reading = held
        feed.followers += 1
        try:
            yield feed
        finally:
            feed.followers -= 1
            if not feed.followers:
                if self._feeds.get(key) is held:
                    del self._feeds[key]
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


def _size(frame: Frame) -> int:
    return len(frame.data) if isinstance(frame, Block) else 0


def _from(number: int, frames: list[Frame]) -> list[Frame]:
    """Without the lines before that one. Several blocks may be before it: this node may hear of them later than one who
    read them from the host."""
    first = frames[0]
    if isinstance(first, Block) and first.head.number >= number:
        return frames
    parts = (frame.between(number, frame.next) if isinstance(frame, Block) else frame for frame in frames)
    return [part for part in parts if part is not None]

"""Several streams of a log as one: the past by time, then what is new as it comes.

Each stream is read by a task of its own and waits when nobody takes what it has: a slow reader costs a few pieces.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

from flynn.core.logframe import Begin, Block, Frame, Live, Said

log = logging.getLogger(__name__)

Frames = AsyncGenerator[list[Frame], None]
"""A stream: `Begin` first, and `Live` as the last of the list it stands in."""

Pair = tuple[str, Frame]
"""A frame, and the name of the stream that it came by."""

WAITING = 2
"""Lists of frames that may wait of one stream."""

GATHERED = 16
"""Frames of the past that are given at once."""


class _Stream:
    """One stream. `time` never goes back, also where its clock did: its order stays as it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: asyncio.Queue[list[Frame] | None] = asyncio.Queue(WAITING)
        self.heads: deque[Frame] = deque()
        self.time = 0.0
        self.over = False

    async def fill(self) -> None:
        """Until the next frame is known, or that it has no past any more."""
        while not self.heads and not self.over:
            frames = await self.queue.get()
            self.heads.extend(frames or ())
            self.over = frames is None or (bool(frames) and isinstance(frames[-1], Live))
        if self.heads and isinstance(head := self.heads[0], Block):
            self.time = max(self.time, head.head.time)


class Merge:
    """Opened by `merging`. Add the streams of which the past is wanted, iterate over `past`, then over `new`."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._streams: dict[str, _Stream] = {}
        self._new: asyncio.Queue[list[Pair]] = asyncio.Queue(WAITING)
        self._all_over = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def names(self) -> set[str]:
        """The streams that were added."""
        return set(self._streams)

    def add(self, name: str, frames: Frames) -> None:
        """Read one more stream; once `past` was read through, all of it counts as new."""
        stream = self._streams[name] = _Stream(name)
        self.tasks.add(asyncio.create_task(self._read(stream, frames, self._all_over), name=f"log of {name}"))

    async def past(self, count: int | None) -> AsyncIterator[list[Pair]]:
        """The last `count` lines (None: all) by time, as far as they were there; also all that is no line."""
        streams = list(self._streams.values())
        for stream in streams:
            await stream.fill()
        skip = _too_many(streams, count)
        pairs: list[Pair] = []
        while streams := [stream for stream in streams if stream.heads]:
            stream = min(streams, key=lambda stream: stream.time)
            frame: Frame | None = stream.heads.popleft()
            if isinstance(frame, Block) and skip:
                begin = min(skip, frame.head.lines)
                skip -= begin
                frame = frame.between(frame.head.number + begin, frame.next)
            if frame is not None:
                pairs.append((stream.name, frame))
            if len(pairs) >= GATHERED or not stream.heads:
                yield pairs
                pairs = []
            await stream.fill()
        yield pairs
        self._all_over = True

    async def new(self, beat: float) -> AsyncIterator[list[Pair]]:
        """What comes, for ever; an empty list after `beat` seconds of silence."""
        while True:
            found: list[Pair] = []
            try:
                async with asyncio.timeout(beat):
                    found = await self._new.get()
            except TimeoutError:
                pass
            yield found

    async def _read(self, stream: _Stream, frames: Frames, new: bool) -> None:
        try:
            async with aclosing(frames):
                async for found in frames:
                    if new:
                        await self._new.put([(stream.name, frame) for frame in found])
                    else:
                        await stream.queue.put(found)
                        new = bool(found) and isinstance(found[-1], Live)
        except Exception as error:
            log.exception("the log of %s cannot be read", stream.name)
            await stream.queue.put([Said(f"the log of {stream.name} cannot be read: {error}")])
        if not new:
            await stream.queue.put(None)


def _too_many(streams: list[_Stream], count: int | None) -> int:
    """Lines of the past beyond the last `count`, as the streams announce them."""
    if count is None:
        return 0
    told = sum(max(frame.count, 0) for frame in _begins(streams))
    return max(told - count, 0)


def _begins(streams: list[_Stream]) -> Iterator[Begin]:
    return (stream.heads[0] for stream in streams if stream.heads and isinstance(stream.heads[0], Begin))


@asynccontextmanager
async def merging() -> AsyncIterator[Merge]:
    """A merge for the length of a block; what it reads is let go at its end."""
    merge = Merge()
    try:
        yield merge
    finally:
        for task in merge.tasks:
            task.cancel()
        await asyncio.gather(*merge.tasks, return_exceptions=True)

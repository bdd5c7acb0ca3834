"""The log of an app on one host, as its agent streams it. While it is followed, a connection that breaks is made anew
where it was, and a host that went away is waited for: no line is lost, none comes twice."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import aiohttp
from msgspec.structs import replace

from flynn.core.brick import Context
from flynn.core.logframe import MEDIA_TYPE, Begin, Block, Frame, Live, Parser, Said
from flynn.core.logquery import MOST, Wanted

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
"""An agent says every 10 s that it is alive."""

BUFFER, SMALL = 1 << 20, 64 * 1024
"""Bytes that are read ahead of one who wants all at once, and of one who follows, of whom there may be many."""

RETRY, RETRY_MOST = 0.25, 4.0
"""Seconds until the next try."""

OUTAGE = 8.0
"""Seconds without a host after which its reader is told."""


@dataclass
class Reader:
    """What is read of `host`. `count`: lines of the past; `number`: where to go on instead (0: nowhere).

    `since`: which lines of a host are new that did not answer at first. `live`: its past is over, or not waited for;
    `level`: nothing was left to read on the host when it last said so.
    """

    ctx: Context
    host: str
    wanted: Wanted
    count: int | None
    follow: bool
    since: float
    number: int = 0
    told: bool = False
    live: bool = False
    level: bool = False

    async def frames(self) -> AsyncGenerator[list[Frame], None]:
        """As `core/logmerge.py` takes them. A host that cannot be read says so in them."""
        now = asyncio.get_running_loop().time
        reached, pause = now(), RETRY
        while True:
            try:
                async with aclosing(self._connected()) as found:
                    async for frames in found:
                        reached, pause, self.told = now(), RETRY, False
                        yield frames
                problem = "it ended the connection"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                problem = str(error) or type(error).__name__
            else:
                if not self.follow:
                    return
            async for frames in self._problem(problem, now() - reached):
                yield frames
            if not self.follow:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_MOST)

    async def _problem(self, problem: str, away: float) -> AsyncGenerator[list[Frame], None]:
        """What the reader shall know of a broken connection: nobody waits for what this host may have of the past."""
        if (not self.live or away > OUTAGE) and not self.told:
            self.told = True
            yield [Said(f"the log of {self.host} cannot be read now: {problem}")]
        if not self.live:
            self.live = True
            if not self.number:
                self.count, self.wanted = None, replace(self.wanted, since=self.since)
            yield [Live(self.number)]

    async def _connected(self) -> AsyncGenerator[list[Frame], None]:
        self.level = False
        host = self.ctx.mirror.facts.hosts.get(self.host)
        if host is None:
            raise ValueError("it is not up")
        url = f"{host.url}/v1/hosts/{self.host}/log"
        headers, ahead = {"Accept": MEDIA_TYPE}, SMALL if self.follow else BUFFER
        async with self.ctx.http.get(
            url, params=self._query(), headers=headers, timeout=TIMEOUT, read_bufsize=ahead
        ) as answer:
            if answer.status != 200 or answer.content_type != MEDIA_TYPE:
                raise ValueError(f"it answers {answer.status} {answer.reason}")
            parser = Parser()
            async for piece in answer.content.iter_any():
                if frames := parser.feed(piece):
                    for lively in self._seen(frames):
                        yield lively

    def _query(self) -> dict[str, str]:
        wanted = replace(self.wanted, since=0.0) if self.number else self.wanted
        query = wanted.query() | {"follow": "true" if self.follow else "false"}
        if self.number:
            return query | {"from": str(self.number)}
        return query | {"n": str(MOST if self.count is None else self.count)}

    def _seen(self, frames: list[Frame]) -> Iterator[list[Frame]]:
        """The frames, so parted that Live ends a list; where that which was given ends is kept."""
        part: list[Frame] = []
        for frame in frames:
            part.append(frame)
            if isinstance(frame, Block):
                self.number = frame.next
            elif isinstance(frame, Begin | Live):
                self.number = frame.number
            if isinstance(frame, Live):
                self.live = self.level = True
                yield part
                part = []
        if part:
            yield part

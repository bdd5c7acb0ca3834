"""The log of an app: the streams of all hosts, merged by time, and followed wherever its jobs go."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from flynn.core import logform
from flynn.core.brick import Context
from flynn.core.logframe import ENCODER, Begin, Block, Live, Lost, Said
from flynn.core.logmerge import Merge, Pair, merging
from flynn.core.logquery import AppLogQuery, Wanted, count, positions, told, wanted
from flynn.core.web import Route, Stream, query
from flynn.plugins.controller import decide
from flynn.plugins.controller.host_log import Reader
from flynn.plugins.controller.log_feed import Feeds
from flynn.plugins.controller.log_follow import followed

BEAT = 15.0
"""Seconds of silence after which a follower gets a sign of life."""

SKEW = 5.0
"""Seconds that the clocks of two hosts may differ."""


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    feeds = Feeds(ctx)

    async def log(request: web.Request, app: str) -> web.StreamResponse:
        told, now = query(request, AppLogQuery), ctx.clock()
        created = decide.find_app(ctx.mirror.facts, app).created
        asked = wanted(told, now)
        since = max(asked.since, created - SKEW)  # Another app had the name before, perhaps.
        at = positions(told.position or request.headers.get("Last-Event-ID", ""))
        reader = Told(ctx, feeds, request, told, None if at else count(told), at)
        return await reader.send(replace(asked, app=app, since=since))

    gives = Stream((logform.JSON, logform.EVENTS, logform.TEXT), dict[str, Any])
    return [Route("GET", "/v1/apps/{app}/log", log, "the log of all its jobs", gives, query=AppLogQuery)]


class Told:
    """One who reads. `count`: lines of the past (None: all); `at`: by host the number of the line to go on with."""

    def __init__(
        self,
        ctx: Context,
        feeds: Feeds,
        request: web.Request,
        asked: AppLogQuery,
        count: int | None,
        at: dict[str, int],
    ) -> None:
        self.ctx, self.feeds, self.request = ctx, feeds, request
        self.follow, self.count, self.at = asked.follow, count, at
        self.begun = ctx.clock()
        self.times = asked.times
        accepted = request.headers.get("Accept", "")
        self.form = next((form for form in (logform.EVENTS, logform.TEXT) if form in accepted), logform.JSON)

    async def send(self, wanted: Wanted) -> web.StreamResponse:
        """The answer, until it is complete or the reader has gone."""
        headers = {"Content-Type": f"{self.form}; charset=utf-8", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        async with merging() as merge:
            for host in sorted(self.ctx.mirror.facts.hosts):
                self._add(merge, host, wanted, self.count)
            await response.prepare(self.request)
            async with aclosing(self._pieces(merge, wanted)) as pieces:
                async for parts in pieces:
                    for piece in logform.gathered(parts):
                        await response.write(piece)
        return response

    def _add(self, merge: Merge, host: str, wanted: Wanted, count: int | None) -> None:
        late = max(wanted.since, self.begun - SKEW)
        reader = Reader(self.ctx, host, wanted, count, self.follow, late, self.at.get(host, 0))
        merge.add(host, followed(reader, self.feeds) if self.follow else reader.frames())

    async def _pieces(self, merge: Merge, wanted: Wanted) -> AsyncGenerator[list[bytes], None]:
        async for pairs in merge.past(self.count):
            yield self._shown(pairs)
        if not self.follow:
            return
        watching = asyncio.create_task(self._watch(merge, wanted), name="hosts of a log")
        try:
            yield [self._position()]
            async for pairs in merge.new(BEAT):
                yield self._shown(pairs) if pairs else [self._beat()]
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, merge: Merge, wanted: Wanted) -> None:
        """Hosts that come while the log is followed."""
        since = max(wanted.since, self.begun - SKEW)
        async for facts in self.ctx.mirror.photos("hosts"):
            for host in sorted(set(facts.hosts) - merge.names):
                self._add(merge, host, replace(wanted, since=since), None)

    def _shown(self, pairs: Iterable[Pair]) -> list[bytes]:
        return [piece for pair in pairs if (piece := self._piece(*pair))]

    def _piece(self, host: str, frame: object) -> bytes:
        if isinstance(frame, Block):
            self.at[host] = frame.next
            return self._block(host, frame)
        if isinstance(frame, Begin | Live):
            self.at[host] = max(frame.number, self.at.get(host, 0))
        if isinstance(frame, Lost):
            return self._word(host, logform.lost(frame, host))
        return self._word(host, frame.text) if isinstance(frame, Said) else b""

    def _block(self, host: str, block: Block) -> bytes:
        if self.form == logform.JSON:
            return logform.json_lines(block, host)
        if self.form == logform.TEXT:
            return logform.timed(block) if self.times else block.data
        others = told({name: number for name, number in self.at.items() if name != host})
        return logform.events(block, host, others)

    def _word(self, host: str, text: str) -> bytes:
        line = logform.said(self.ctx.clock(), text, host)
        if self.form == logform.EVENTS:
            return b"event: log\ndata: " + line + b"\n"
        return line if self.form == logform.JSON else f"{text}\n".encode()

    def _position(self) -> bytes:
        """Where the past ends, so that one whose connection breaks can go on."""
        line = ENCODER.encode({"kind": "position", "time": self.ctx.clock(), "hosts": self.at})
        return {logform.JSON: line + b"\n", logform.EVENTS: b"event: position\ndata: " + line + b"\n\n"}.get(
            self.form, b""
        )

    def _beat(self) -> bytes:
        return {logform.JSON: b"\n", logform.EVENTS: b": beat\n\n"}.get(self.form, b"")

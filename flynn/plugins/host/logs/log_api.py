"""What the host agent answers about its logs: lines of an app, of a job, or of all."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.errors import Invalid
from flynn.core.logform import JSON, gathered, json_lines, lost, said
from flynn.core.logframe import MEDIA_TYPE, Block, Frame, Lost, Said, encoded
from flynn.core.logmerge import Merge, Pair, merging
from flynn.core.logquery import HostLogQuery, Wanted, count, wanted
from flynn.core.model import Job
from flynn.core.web import query as asked_of
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.logstream import BEAT, Asked, frames
from flynn.plugins.host.race import race

LOOK = 0.5
"""Seconds after which one who follows all logs gets those that are new."""


class LogApi:
    """`jobs`: those known on this host, by id."""

    def __init__(self, ctx: Context, logs: Logs, jobs: Mapping[str, Job]) -> None:
        self.ctx, self.logs, self.jobs = ctx, logs, jobs

    async def log(self, request: web.Request) -> web.StreamResponse:
        """The last `n` lines asked for, by time; with `follow`, then all new ones as they come."""
        query = asked_of(request, HostLogQuery)
        told = wanted(query, self.ctx.clock())
        apps = await self._apps(told)
        for app in apps:
            await self.logs.take_in(app)
        if query.number and len(apps) != 1:
            raise Invalid("from= is a number in the log of one app; name it with app=")
        asked = Asked(told, count(query), query.follow, query.number or None)
        if request.headers.get("Accept") == MEDIA_TYPE and len(apps) == 1:
            return await self._send(request, MEDIA_TYPE, self._frames(apps[0], asked))
        return await self._send(request, JSON, self._lines(apps, asked))

    async def _apps(self, told: Wanted) -> list[str]:
        """The apps whose logs may have what is asked for."""
        if told.app:
            return [keys.check_name("app", told.app)]
        if job := self.jobs.get(told.job):
            return [job.app]
        return await self.logs.apps()

    async def _send(
        self, request: web.Request, media_type: str, pieces: AsyncGenerator[list[bytes], None]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": media_type, "Cache-Control": "no-store"})
        await response.prepare(request)
        await race(_write(response, pieces), self._stopping(), self._ended())
        return response

    async def _stopping(self) -> None:
        await self.ctx.stopping.wait()

    async def _ended(self) -> None:
        await self.logs.ended.wait()

    async def _frames(self, app: str, asked: Asked) -> AsyncGenerator[list[bytes], None]:
        async with aclosing(frames(await self.logs.of(app), asked, self.logs.readers)) as found:
            async for each in found:
                yield list(map(encoded, each))

    async def _lines(self, apps: Iterable[str], asked: Asked) -> AsyncGenerator[list[bytes], None]:
        async with merging() as merge:
            await self._add(merge, apps, asked)
            async for pairs in merge.past(asked.count):
                yield self._shown(pairs)
            if not asked.follow:
                return
            alone = merge if len(merge) == 1 else None
            async for pairs in merge.new(BEAT if alone else LOOK):
                yield self._shown(pairs)
                if not alone:
                    await self._add(merge, self.logs.known - merge.names, replace(asked, count=None))

    async def _add(self, merge: Merge, apps: Iterable[str], asked: Asked) -> None:
        for app in apps:
            merge.add(app, frames(await self.logs.of(app), asked, self.logs.readers))

    def _shown(self, pairs: list[Pair]) -> list[bytes]:
        return [shown for _, frame in pairs if (shown := self._line(frame))]

    def _line(self, frame: Frame) -> bytes:
        if isinstance(frame, Block):
            return json_lines(frame, self.ctx.host)
        if isinstance(frame, Lost):
            return said(self.ctx.clock(), lost(frame, self.ctx.host), self.ctx.host)
        return said(self.ctx.clock(), frame.text, self.ctx.host) if isinstance(frame, Said) else b""


async def _write(response: web.StreamResponse, pieces: AsyncGenerator[list[bytes], None]) -> None:
    async with aclosing(pieces):
        async for parts in pieces:
            for piece in gathered(parts):
                await response.write(piece)

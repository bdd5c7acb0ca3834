"""What the host agent answers on the node API: logs and attached jobs, of this host or passed on to another."""

import asyncio
import contextlib
from collections.abc import Mapping

from aiohttp import web

from flynn.core.brick import Context
from flynn.core.errors import NotFound
from flynn.core.model import Job
from flynn.core.web import Route, lines, number, send_line
from flynn.plugins.host import proxy
from flynn.plugins.host.attach import attach
from flynn.plugins.host.life import Life
from flynn.plugins.host.logs import BACKLOG, Logs, Reader, Told, Wanted, past
from flynn.plugins.host.race import race

ARRIVAL = 1.0
"""Seconds that a job may take to arrive here after it was assigned."""

WAIT = 5.0
"""Seconds after which a follower's connection is looked at though nothing is printed."""


class Api:
    """`lives`: the jobs that are begun and not forgotten, by id; `jobs` also those that have ended, from disk."""

    def __init__(self, ctx: Context, logs: Logs, lives: Mapping[str, Life], jobs: Mapping[str, Job]) -> None:
        self.ctx, self.logs, self.lives, self.jobs = ctx, logs, lives, jobs

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/v1/hosts/{host}/log", self.log),
            Route("GET", "/v1/hosts/{host}/jobs/{job}/attach", self.attach),
        ]

    async def log(self, request: web.Request, host: str) -> web.StreamResponse:
        """The last `n` lines of the jobs asked for, by time; with `follow=true`, then all new ones as they come."""
        if host != self.ctx.host:
            return await proxy.pass_stream(self.ctx, request, proxy.target(self.ctx, request, host))
        query = request.query
        wanted = Wanted(query.get("app", ""), query.get("type", ""), query.get("job", ""))
        count = number(request, "n", 100, BACKLOG)
        with self.logs.following(wanted) as reader:
            jobs = [job for job in self.jobs.values() if wanted.takes(job.app, job.type, job.id)]
            await self.logs.take_in(job.id for job in jobs)
            told = await asyncio.to_thread(past, self.logs.root, jobs, count)
            response = await lines(request)
            for line in told:
                await send_line(response, line.shown())
            if query.get("follow") in ("true", "1"):
                seen = _seen(told, jobs)
                await race(self._follow(request, response, reader, seen), self._stopping())
        return response

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, reader: Reader, seen: Mapping[str, int]
    ) -> None:
        """Send what comes until the client goes. One who is too slow is told how many lines were dropped."""
        while request.transport and not request.transport.is_closing():
            reader.woken.clear()
            while reader.waiting:
                told = reader.waiting.popleft()
                if told.line.number > seen.get(told.job, 0):
                    await send_line(response, told.shown())
            if reader.dropped:
                dropped, reader.dropped = reader.dropped, 0
                notice = {"time": self.ctx.clock(), "job": "", "type": "", "stream": "flynn"}
                text = f"{dropped} lines were dropped: this reader is too slow"
                await send_line(response, {"kind": "log", **notice, "line": text})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.woken.wait(), WAIT)

    async def _stopping(self) -> None:
        await self.ctx.stopping.wait()

    async def attach(self, request: web.Request, host: str, job: str) -> web.StreamResponse:
        """The standard streams of a job."""
        if host != self.ctx.host:
            return await proxy.pass_socket(self.ctx, request, proxy.target(self.ctx, request, host))
        return await attach(request, await self._arrived(job), self.ctx.stopping)

    async def _arrived(self, job: str) -> Life:
        """The job asked for, which may be assigned but not begun yet. NotFound: there is none."""
        key = f"{self.ctx.host}/{job}"
        try:
            async with asyncio.timeout(ARRIVAL):
                while job not in self.lives:
                    if job in self.jobs or not (await self._assigned(key)):
                        break
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass
        life = self.lives.get(job)
        if life and (life.job.attached or not life.down.is_set()):
            return life
        raise NotFound(f"there is no job {job[:80]} running on {self.ctx.host}; `flynn ps` shows where it is")

    async def _assigned(self, key: str) -> bool:
        await self.ctx.mirror.until(lambda facts: key in facts.jobs, ARRIVAL)
        return True


def _seen(told: list[Told], jobs: list[Job]) -> dict[str, int]:
    """The number of the last line already sent, by job."""
    seen: dict[str, int] = {}
    for line in told:
        seen[line.job] = max(seen.get(line.job, 0), line.line.number)
    return seen

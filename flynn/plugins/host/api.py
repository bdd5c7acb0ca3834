"""What the host agent answers on the node API: logs and attached jobs, of this host or passed on to another."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from flynn.core import logform
from flynn.core.brick import Context
from flynn.core.errors import Conflict, NotFound
from flynn.core.logframe import MEDIA_TYPE
from flynn.core.logquery import HostLogQuery
from flynn.core.model import Job
from flynn.core.usage import Told
from flynn.core.web import SOCKET, Route, Stream
from flynn.plugins.host import proxy
from flynn.plugins.host.attach.attach import attach
from flynn.plugins.host.attach.execute import execute
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.logs.log_api import LogApi
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.usage.usage_api import OfApp, UsageApi

ARRIVAL = 1.0
"""Seconds that a job may take to arrive here after it was assigned."""


class Api:
    """`lives`: the jobs that are begun and not forgotten, by id; `jobs` also those that have ended, from disk."""

    def __init__(
        self, ctx: Context, logs: Logs, used: UsageApi, lives: Mapping[str, Life], jobs: Mapping[str, Job]
    ) -> None:
        self.ctx, self.logs, self.used, self.lives, self.jobs = ctx, logs, used, lives, jobs

    def routes(self) -> list[Route]:
        log, job = Stream((logform.JSON, MEDIA_TYPE), dict[str, Any]), "/v1/hosts/{host}/jobs/{job}"
        busy = (Conflict,)
        return [
            Route("GET", "/v1/hosts/{host}/log", self.log, "the logs of jobs there", log, query=HostLogQuery),
            Route("GET", "/v1/hosts/{host}/usage", self.usage, "what is taken there now", Told, query=OfApp),
            Route("GET", f"{job}/attach", self.attach, "its standard streams", SOCKET, status=101, errors=busy),
            Route("GET", f"{job}/exec", self.execute, "a command beside it", SOCKET, status=101, errors=busy),
        ]

    async def log(self, request: web.Request, host: str) -> web.StreamResponse:
        """Lines of the jobs asked for."""
        if host != self.ctx.host:
            return await proxy.pass_stream(self.ctx, request, proxy.target(self.ctx, request, host))
        return await LogApi(self.ctx, self.logs, self.jobs).log(request)

    async def usage(self, request: web.Request, host: str) -> web.StreamResponse:
        """What the machine and its jobs take now."""
        if host != self.ctx.host:
            return await proxy.pass_stream(self.ctx, request, proxy.target(self.ctx, request, host))
        return await self.used.usage(request)

    async def attach(self, request: web.Request, host: str, job: str) -> web.StreamResponse:
        """The standard streams of a job."""
        if host != self.ctx.host:
            return await proxy.pass_socket(self.ctx, request, proxy.target(self.ctx, request, host))
        return await attach(request, await self._arrived(job), self.ctx.stopping)

    async def execute(self, request: web.Request, host: str, job: str) -> web.StreamResponse:
        """The standard streams of a command beside a job."""
        if host != self.ctx.host:
            return await proxy.pass_socket(self.ctx, request, proxy.target(self.ctx, request, host))
        return await execute(request, await self._arrived(job), self.ctx.stopping)

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

"""Hosts that only have logs: the real thing behind real HTTP, without an agent that runs anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flynn.core import keys, model
from flynn.core.logquery import HostLogQuery
from flynn.core.serve import serve
from flynn.core.web import LINES, Route, Web
from flynn.plugins.host.logs.log_api import LogApi
from flynn.plugins.host.logs.logs import Logs
from tests.harness import TOKEN, TestNode
from tests.ports import free_port


@dataclass(eq=False)
class LogHost:
    """A host of the grid of `node`. `port` stays the same when it goes and comes back."""

    node: TestNode
    name: str
    dir: Path
    logs: Logs
    port: int
    asked: list[str]

    async def prints(self, text: str, job: str = "hello-web-1", stream: str = "stdout", release: int = 1) -> None:
        """A job prints these lines; they are in its log afterwards."""
        type = job.split("-")[1]
        app = job.split("-")[0]
        told = model.Job(id=job, app=app, type=type, queue="services", command="", created=1.0, release=release)
        (self.dir / "jobs" / job).mkdir(parents=True, exist_ok=True)
        if job not in self.logs._open:
            await self.logs.open(told)
        log = await self.logs.of(app)
        wanted = log.told + len(text.splitlines())
        with (self.dir / "jobs" / job / stream).open("a") as file:
            file.write(text)
        async with asyncio.timeout(10):
            while log.told < wanted:
                await asyncio.sleep(0.002)

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """It answers, and is a host of the grid, for the length of a block."""
        ctx = self.node.context("host")
        ctx.node = msgspec.structs.replace(ctx.node, name=self.name, port=self.port)
        web = Web(TOKEN)
        api = LogApi(ctx, self.logs, {})

        async def log(request, host):  # type: ignore[no-untyped-def]
            self.asked.append(request.path_qs)
            return await api.log(request)

        record = model.Host(name=self.name, address="127.0.0.1", url=ctx.node.url, started=1.0)
        async with AsyncExitStack() as stack:
            stack.enter_context(
                web.serving(Route("GET", "/v1/hosts/{host}/log", log, "its log", LINES, query=HostLogQuery))
            )
            await stack.enter_async_context(serve(web, "127.0.0.1", self.port))
            stack.callback(ctx.stopping.set)
            await self.node.lease.put(keys.host(self.name), record)
            await self.node.mirror.until(lambda facts: self.name in facts.hosts, 10)
            yield


@asynccontextmanager
async def log_host(
    node: TestNode, name: str, dir: Path, clock: Callable[[], float], limit: int = 1 << 22
) -> AsyncIterator[LogHost]:
    """A host, not up yet, that takes in what its jobs print."""
    logs = Logs(dir / "logs", dir / "jobs", limit, clock)
    running = asyncio.create_task(logs.run())
    try:
        yield LogHost(node, name, dir, logs, free_port(), [])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

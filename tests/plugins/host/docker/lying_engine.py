"""A real engine behind one that, for a while, answers some calls as none should."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.docker import Engine

SKIPPED = ("Transfer-Encoding", "Content-Length", "Connection")


@dataclass(eq=False)
class LyingEngine:
    """What it passes on is what HTTP alone carries: nothing with a stream both ways."""

    http: aiohttp.ClientSession
    lies: list[tuple[re.Pattern[str], int, bytes]] = field(default_factory=list)
    told: int = 0
    amended: dict[str, str] = field(default_factory=dict)
    """What calls ask for is passed on with this in place of that."""

    @contextmanager
    def lying(self, calls: str, status: int, body: bytes) -> Iterator[None]:
        """For the length of a block, answer so to calls (`METHOD path`) like these."""
        lie = (re.compile(calls), status, body)
        self.lies.append(lie)
        try:
            yield
        finally:
            self.lies.remove(lie)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for calls, status, body in self.lies:
            if calls.search(f"{request.method} {request.path}"):
                self.told += 1
                return web.Response(status=status, body=body, content_type="application/json")
        headers = {name: value for name, value in request.headers.items() if name not in SKIPPED}
        asked = request.path_qs
        for said, instead in self.amended.items():
            asked = asked.replace(said, instead)
        async with self.http.request(
            request.method, f"http://engine{asked}", data=await request.read(), headers=headers
        ) as found:
            kept = {name: value for name, value in found.headers.items() if name not in SKIPPED}
            response = web.StreamResponse(status=found.status, headers=kept)
            await response.prepare(request)
            async for piece in found.content.iter_any():
                await response.write(piece)
            return response


@asynccontextmanager
async def open_lying(engine: Engine, dir: Path) -> AsyncIterator[LyingEngine]:
    """It stands for the engine, for the length of a block in which DOCKER_HOST names it."""
    before = os.environ["DOCKER_HOST"]
    connector = aiohttp.UnixConnector(engine.url.removeprefix("unix://"))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as http:
        lying = LyingEngine(http)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", lying.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(dir / "lying.sock")).start()
        os.environ["DOCKER_HOST"] = f"unix://{dir}/lying.sock"
        try:
            yield lying
        finally:
            os.environ["DOCKER_HOST"] = before
            await runner.cleanup()

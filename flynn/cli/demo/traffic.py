"""Requests through the demo's router: one at a time, or without a pause while something happens."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from flynn.cli.demo.transcript import NotSo

TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
CLIENTS = 4
PAUSE = 0.01
"""Seconds between two requests of one client."""

SIGNED = re.compile(r"answered by ([\w-]+), release v?(\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of the app: what it says, which job made it, of which release."""

    text: str
    job: str
    release: int


@dataclass(eq=False)
class Load:
    """What came of many requests. `worst` in seconds."""

    served: int = 0
    worst: float = 0.0
    failures: list[str] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        told = f"; {len(self.failures)} failed, first: {self.failures[0]}" if self.failures else ", none failed"
        return f"{self.served} requests answered meanwhile, the slowest in {self.worst * 1000:.0f} ms{told}"


@dataclass(frozen=True)
class Traffic:
    """A client of the router. The app is named by the Host header, so no name needs to resolve."""

    session: aiohttp.ClientSession
    port: int
    host: str

    async def get(self) -> Answer:
        """The app's page. NotSo: it did not come, or is not what the app says."""
        try:
            url = f"http://127.0.0.1:{self.port}/"
            async with self.session.get(url, headers={"Host": self.host}, timeout=TIMEOUT) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotSo(f"a request failed: {str(error) or type(error).__name__}") from None
        signed = SIGNED.search(text)
        if response.status != 200 or not signed:
            raise NotSo(f"a request was answered {response.status}: {text[:200]!r}")
        return Answer(text, signed[1], int(signed[2]))

    async def status(self) -> int:
        """What the router answers for the app's host now."""
        async with self.session.get(
            f"http://127.0.0.1:{self.port}/", headers={"Host": self.host}, timeout=TIMEOUT
        ) as response:
            return response.status

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[Load]:
        """Requests from CLIENTS clients for the length of a block; all that were begun are counted."""
        load, stop = Load(), asyncio.Event()
        clients = [asyncio.create_task(self._client(load, stop), name=f"client {i}") for i in range(CLIENTS)]
        try:
            await self.more(load, 20)
            yield load
            await self.more(load, 20)
        finally:
            stop.set()
            await asyncio.wait(clients)

    async def more(self, load: Load, count: int, limit: float = 20.0) -> None:
        """Wait until `count` more requests were answered. NotSo: not within `limit` seconds."""
        wanted = load.served + count
        try:
            async with asyncio.timeout(limit):
                while load.served < wanted and not load.failures:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NotSo(f"the router answered fewer than {count} requests in {limit:g} s") from None

    async def _client(self, load: Load, stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                answer = await self.get()
            except NotSo as error:
                load.failures.append(str(error))
            else:
                load.served += 1
                load.jobs.add(answer.job)
            load.worst = max(load.worst, time.monotonic() - began)
            await asyncio.sleep(PAUSE)

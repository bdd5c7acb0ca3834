"""A proxy that runs: one of those that are compared."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.common import web
from bench.common.errors import NotMeasured
from bench.common.processes import START, Process, expecting
from bench.router import fields, site


@dataclass(eq=False)
class Peer:
    """`served()`: the requests that it says it has answered until now. `cannot`: see `site.neglected`."""

    name: str
    port: int
    process: Process
    served: Callable[[], Awaitable[int]] = field(repr=False)
    cannot: frozenset[str] = frozenset()

    async def check_duties(self, host: str = site.ASKED, limit: float = START) -> None:
        """Wait until it knows the host. NotMeasured: a request through it does not reach the app as it must."""
        await self.knows(host, limit=limit)
        wrong = site.neglected(await fields.fields(self.port, host), host, self.port, self.cannot)
        if wrong:
            raise NotMeasured(f"{self.name} passes on: {'; '.join(wrong)}")

    async def knows(self, host: str, path: str = "/", limit: float = START) -> None:
        """Wait until a request for the host is answered with 200. NotMeasured."""
        poller = web.Poller(self.port, host, path)
        with expecting(f"{self.name} answers for {host}", limit):
            async with asyncio.timeout(limit):
                while await asyncio.to_thread(poller.status) != 200:
                    await asyncio.sleep(0.05)
        poller.close()

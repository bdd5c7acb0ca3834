"""What a node counts, for Prometheus: each brick offers its part while it runs, `GET /metrics` is all of them.

A part comes in pieces of whole lines, and a family is in one part alone. One that fails is left out, and logged.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from aiohttp import hdrs, web

from flynn.core.exposition import CONTENT_TYPE
from flynn.core.web import TEXT, Route

log = logging.getLogger(__name__)

SCRAPE = 60.0
"""Seconds that whoever reads the metrics has to take them."""

Part = Callable[[], AsyncGenerator[bytes, None]]


class Metrics:
    """The parts by name, in the order they were offered."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    @contextmanager
    def offering(self, name: str, part: Part) -> Iterator[None]:
        """Have this part in the metrics for the length of a block."""
        if name in self._parts:
            raise ValueError(f"the metrics of {name} are offered already")
        self._parts[name] = part
        try:
            yield
        finally:
            del self._parts[name]

    def route(self) -> Route:
        """The route of the node API that tells all."""
        return Route("GET", "/metrics", self._scrape, "what this node counts, for Prometheus", TEXT)

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        return await send(request, self._all())

    async def _all(self) -> AsyncGenerator[bytes, None]:
        for name, part in tuple(self._parts.items()):
            try:
                async with aclosing(part()) as pieces:
                    async for piece in pieces:
                        yield piece
            except Exception:
                log.exception("the metrics of %s cannot be told", name)


async def send(request: web.Request, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """An answer of this text."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})
    async with asyncio.timeout(SCRAPE), aclosing(pieces):
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
    return response

"""The log sinks of the grid, as this host sends to each of them."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.errors import FlynnError
from flynn.core.records import SinkProgress
from flynn.core.web import Route, answer
from flynn.plugins.host import proxy
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.shipping import Shipping
from flynn.plugins.host.logs.sink import Sink

log = logging.getLogger(__name__)

AGAIN = 30.0
"""Seconds until a sink that went wrong here, as logs on disk could not be read, say, is begun with again."""


class Shippers:
    """`dir`: where it is kept how far each sink has come."""

    def __init__(self, ctx: Context, logs: Logs, dir: Path) -> None:
        self.ctx, self.logs, self.dir = ctx, logs, dir
        self._running: dict[str, tuple[model.Sink, Shipping, asyncio.Task[None]]] = {}
        self._problems: dict[str, str] = {}

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/v1/hosts/{host}/sinks", self.sinks, "how sinks fare there", dict[str, SinkProgress]),
        ]

    async def sinks(self, request: web.Request, host: str) -> web.StreamResponse:
        """How each sink fares here, by its id."""
        if host != self.ctx.host:
            return await proxy.pass_stream(self.ctx, request, proxy.target(self.ctx, request, host))
        shown: dict[str, Any] = {id: shipping.shown() for id, (_, shipping, _) in self._running.items()}
        for id, problem in self._problems.items():
            shown[id] = {"sent": 0, "dropped": 0, "behind": 0, "problem": problem}
        return answer(shown)

    async def run(self) -> None:
        """Follow the sinks that there are, for ever."""
        kinds = kinds_of(self.ctx)
        try:
            async for facts in self.ctx.mirror.photos("sinks"):
                for id in [id for id, (record, _, _) in self._running.items() if facts.sinks.get(id) != record]:
                    await self._stop(id)
                    self._file(id).unlink(missing_ok=True)
                for id, record in facts.sinks.items():
                    if id not in self._running:
                        self._start(record, kinds)
                self._problems = {id: text for id, text in self._problems.items() if id in facts.sinks}
        finally:
            for id in list(self._running):
                await self._stop(id)

    def _start(self, record: model.Sink, kinds: Mapping[str, type[Sink]]) -> None:
        try:
            kind = kinds[record.url.partition(":")[0]]
            sink = kind(record.url, record.options)
        except (KeyError, FlynnError) as error:
            self._problems[record.id] = f"it is of no kind that is known here: {error}"
            return
        shipping = Shipping(record, sink, self.logs, self._file(record.id), self.ctx.host)
        task = asyncio.create_task(self._run(shipping), name=f"sink {record.id}")
        self._running[record.id] = (record, shipping, task)

    async def _run(self, shipping: Shipping) -> None:
        while True:
            try:
                await shipping.run()
            except Exception as error:
                log.exception("the sink %s went wrong", shipping.record.id)
                shipping.progress.problem = f"flynn made a mistake with it, its log says more: {error}"
            await asyncio.sleep(AGAIN)
            shipping.progress.problem = ""

    async def _stop(self, id: str) -> None:
        _, _, task = self._running.pop(id)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _file(self, id: str) -> Path:
        return self.dir / f"{id}.json"


def kinds_of(ctx: Context) -> dict[str, type[Sink]]:
    """The sinks of all plugins by the scheme of their URL."""
    found: dict[str, type[Sink]] = {}
    for offered in reversed(ctx.hooks.hook.flynn_log_sinks()):
        found |= offered
    return found

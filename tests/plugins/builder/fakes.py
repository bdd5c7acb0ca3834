"""What the builder meets in a grid: a shelf, a host's log, and a controller's facts; real HTTP, a real store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Delete, Op, Put
from flynn.core.web import BYTES, LINES, Route, lines, send_line
from tests.harness import TestNode

HOST = "host-a"


@dataclass(eq=False)
class Grid:
    """A shelf's blobs, and the log of each job. A followed log stays open after its last line."""

    node: TestNode
    blobs: dict[str, bytes] = field(default_factory=dict)
    log: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)
    cut: bool = False
    """The next followed log breaks off after what there is."""

    closed: bool = False

    async def put(self, *records: tuple[str, model.Record]) -> None:
        """Write these records at once, and wait until the mirror shows them."""
        ops: list[Op] = [Put(key, encode(record)) for key, record in records]
        await self.node.mirror.reach(await self.node.store.commit(ops))

    async def delete(self, key: str) -> None:
        await self.node.mirror.reach(await self.node.store.commit([Delete(key)]))

    async def print(self, job: str, *texts: str) -> None:
        """Lines that the job prints. All lines printed at once carry the same time."""
        said = self.log.setdefault(job, [])
        time = float(len({line["time"] for line in said}) + 1)
        said += [{"kind": "log", "time": time, "job": job, "type": "build", "line": text} for text in texts]
        async with self.more:
            self.more.notify_all()

    async def run(self, job: model.Job, state: model.State = "up", **more: Any) -> None:
        """What the controller and a host write when the job is placed, runs, or is down."""
        actual = model.JobState(
            id=job.id, app=job.app, type=job.type, queue=job.queue, release=job.release, host=HOST, state=state,
            since=1.0, created=1.0, **more,
        )  # fmt: skip
        if keys.queued("builders", job.id).removeprefix("queues/") in self.node.mirror.facts.queues:
            await self.delete(keys.queued("builders", job.id))
        await self.put((keys.state(HOST, job.id), actual))

    async def queued(self) -> model.Job:
        """The job that the builder queues next."""
        facts = await self.node.mirror.until(lambda facts: bool(facts.queues), 10)
        return next(iter(facts.queues.values())).job

    async def _blob(self, request: web.Request, sha256: str) -> web.StreamResponse:
        if request.method == "PUT":
            data = await request.content.read()
            while piece := await request.content.read():
                data += piece
            assert hashlib.sha256(data).hexdigest() == sha256
            self.blobs[sha256] = data
            return web.Response(status=201)
        return web.Response(status=200 if sha256 in self.blobs else 404)

    async def _log(self, request: web.Request, host: str) -> web.StreamResponse:
        job, follow = request.query["job"], request.query["follow"] == "true"
        response = await lines(request)
        sent = 0
        while True:
            said = self.log.setdefault(job, [])
            while sent < len(said):
                sent += 1
                await send_line(response, said[sent - 1])
            if not follow:
                return response
            if self.cut:
                self.cut = False
                assert request.transport is not None
                request.transport.abort()
                return response
            async with self.more:
                while not self.closed and len(said) == sent:
                    await self.more.wait()
            if self.closed:
                return response


@asynccontextmanager
async def open_grid(node: TestNode) -> AsyncIterator[Grid]:
    """A grid of this node, with an app called hello, for the length of a block."""
    grid = Grid(node)
    routes = [
        Route(m, "/v1/blobs/{sha256}", grid._blob, "a blob", BYTES, BYTES, also=(201, 404), open=True)
        for m in ("PUT", "HEAD")
    ]
    with node.web.serving(*routes, Route("GET", "/v1/hosts/{host}/log", grid._log, "its log", LINES, query=None)):
        address = node.url.removeprefix("http://")
        await grid.put(
            (keys.app("hello"), model.App(name="hello", created=1.0, env={"K": "v"})),
            (keys.host(HOST), model.Host(name=HOST, address="127.0.0.1", url=node.url, started=1.0)),
            (keys.instance("shelf", "s"), model.Instance(id="s", service="shelf", address=address, host=HOST)),
        )
        yield grid
        grid.closed = True
        async with grid.more:
            grid.more.notify_all()

"""A node without a daemon: the real core over a store in memory, the real node API on a free port, bricks on demand."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
from aiohttp import web

from flynn.core import hooks
from flynn.core.blobs import NearShelf
from flynn.core.brick import Brick, Context
from flynn.core.config import Node
from flynn.core.errors import FlynnError
from flynn.core.lease import NodeLease, open_lease
from flynn.core.memory import MemoryStore
from flynn.core.metrics import Metrics
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.once import HONOURED
from flynn.core.outgoing import open_http
from flynn.core.serve import serve
from flynn.core.store import Store
from flynn.core.web import Route, Stream, Web
from flynn.core.web.openapi import accepted, refusals
from tests.ports import free_port as free_port

TOKEN = "secret"


def ended(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@dataclass(eq=False)
class TestNode:
    """What a daemon has open. `http` sends the token; `url` is the node API."""

    __test__ = False
    node: Node
    store: Store
    mirror: Mirror
    lease: NodeLease
    web: Web
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    metrics: Metrics
    clock: Callable[[], float] = time.time
    near: dict[str, NearShelf] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.node.url

    def context(self, brick: str) -> Context:
        """The context of a brick of this node."""
        data = self.node.data / brick
        data.mkdir(parents=True, exist_ok=True)
        return Context(
            brick=brick,
            node=self.node,
            store=self.store,
            mirror=self.mirror,
            lease=self.lease,
            web=self.web,
            http=self.http,
            hooks=hooks.load(),
            clock=self.clock,
            data=data,
            token=TOKEN,
            domain=self.node.domain,
            stopping=asyncio.Event(),
            metrics=self.metrics,
            near=self.near,
        )

    @asynccontextmanager
    async def running(self, brick: Brick) -> AsyncIterator[Context]:
        """Run a brick for the length of a block, which begins when it is ready; its context."""
        ctx = self.context(brick.name)
        ready = asyncio.Event()
        ctx.on_ready = ready.set
        task = asyncio.create_task(brick.run(ctx), name=brick.name)
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([task, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        assert ready.is_set(), f"{brick.name} was not ready within 20 s"
        try:
            yield ctx
        finally:
            ctx.stopping.set()
            await asyncio.wait_for(task, 20)


class TruthfulWeb(Web):
    """Routes give what they say they do, or the answer is a 500 and the log says which does not."""

    async def _handled(self, route: Route, request: web.Request, params: Mapping[str, str]) -> web.StreamResponse:
        told, allowed = f"{request.method} {route.path}", {*refusals(route), *route.also}
        try:
            response = await super()._handled(route, request, params)
        except FlynnError as error:
            if error.status in allowed:
                raise
            raise AssertionError(f"{told} refuses with {error.status}, which its route does not say") from None
        status = response.status
        if status >= 400:
            assert status in allowed, f"{told} refuses with {status}, which its route does not say"
            return response
        assert status in (route.status, *route.also), f"{told} answers {status}, which its route does not say"
        if route.method == "POST" and route.path.startswith("/v1/"):
            assert HONOURED in request, f"{told} has its effect each time: let it go through flynn.core.once.once"
        kinds = [kind for kind in accepted(route) if not isinstance(kind, Stream)]
        if kinds and response.content_type == "application/json" and isinstance(response, web.Response):
            try:
                msgspec.json.decode(bytes(response.body or b""), type=kinds[0])  # type: ignore[arg-type]
            except msgspec.DecodeError as error:
                raise AssertionError(f"{told} gives what its route does not say: {error}") from None
        return response


@asynccontextmanager
async def open_node(
    data: Path, store: Store | None = None, name: str = "host-a", **settings: Any
) -> AsyncIterator[TestNode]:
    """A node with its data under `data`, over `store` (default: a new one in memory)."""
    node = Node(data=data, name=name, port=free_port(), **settings)
    async with AsyncExitStack() as stack:
        store = store or MemoryStore()
        mirror = await stack.enter_async_context(open_mirror(store))
        lease = await stack.enter_async_context(open_lease(store))
        server = TruthfulWeb(TOKEN, stale_since=lambda: mirror.stale_since)
        metrics = Metrics()
        stack.enter_context(server.serving(metrics.route(), server.described()))
        http = await stack.enter_async_context(open_http(TOKEN))
        await stack.enter_async_context(serve(server, node.address, node.port))
        yield TestNode(node, store, mirror, lease, server, http, stack, metrics)

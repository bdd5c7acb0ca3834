"""TCP routes on real sockets, over the rig of the HTTP side."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flynn.core.model import Route
from flynn.router.listen import bound, close
from flynn.router.tcp_ports import Ports
from tests.ports import free_port
from tests.router.rig import PATIENCE, Rig, Served, Talk, open_rig, until

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say all back; once the client has ended, add `bye`."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"bye")


@dataclass(eq=False)
class App(Served):
    """Serves what the function `serving` says."""

    serving: Serve

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.serving(reader, writer)


@dataclass(eq=False)
class TcpRig:
    """A router whose route `t` passes what connects to `port` on to app-web."""

    rig: Rig
    ports: Ports
    port: int
    routes: list[Route] = field(default_factory=list)

    @property
    def counters(self) -> Any:
        return self.ports.counters()["t"]

    async def app(self, serve: Serve = echo, backlog: int = 1024) -> App:
        app = App(serve)
        server = await asyncio.start_server(app.serve, "127.0.0.1", 0, backlog=backlog)
        app.port = server.sockets[0].getsockname()[1]

        async def stop() -> None:
            server.close()
            for task in tuple(app.tasks):
                task.cancel()
            await asyncio.gather(*app.tasks, return_exceptions=True)

        self.rig.stack.push_async_callback(stop)
        return app

    def route(self, **options: Any) -> Route:
        return Route(**{"id": "t", "service": "app-web", "kind": "tcp", "port": self.port, **options})

    def follow(self, *routes: Route) -> None:
        """These are the TCP routes now."""
        self.ports.follow(routes)

    async def talk(self, port: int = 0) -> Talk:
        talk = Talk(*await asyncio.open_connection("127.0.0.1", port or self.port))
        self.rig.stack.push_async_callback(talk.close)
        return talk

    def in_flight(self) -> int:
        return sum(target.in_flight for target in self.rig.registry.services["app-web"].targets)


async def is_reset(talk: Talk) -> bool:
    """Whether the connection is broken, not ended."""
    try:
        async with asyncio.timeout(PATIENCE):
            await talk.reader.read()
        return False
    except ConnectionError:
        return True


async def refuses(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


@asynccontextmanager
async def working(ports: Ports) -> AsyncIterator[None]:
    """Accept and keep watch for the length of a block."""
    work = asyncio.create_task(ports.work())
    await ports.accept()
    try:
        yield
    finally:
        ports.stop_accepting()
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled()


@asynccontextmanager
async def open_tcp(options: dict[str, Any] | None = None, **limits: float) -> AsyncIterator[TcpRig]:
    """A router with one TCP route on a free port, with these options of the route and limits of the router."""
    async with open_rig((), **limits) as rig:
        ports = Ports(rig.proxy, partial(bound, "127.0.0.1"), close)
        tcp = TcpRig(rig, ports, free_port())
        tcp.follow(tcp.route(**(options or {})))
        async with working(ports):
            yield tcp
        await rig.stack.aclose()
        await ports.drain(0)
        await until(lambda: not any(port.entries for port in ports.all()))
        assert not any(t.in_flight for s in rig.registry.services.values() for t in s.instances.values())


def silent() -> tuple[socket.socket, list[socket.socket]]:
    """A listener with a full backlog, for which the kernel drops each further SYN; and what fills it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    return listener, fillers

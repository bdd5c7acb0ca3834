"""The data plane with its sockets: it goes on as it is while its brick, or the whole daemon, is another."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from flynn.core.channel import Channel
from flynn.core.facts import Facts
from flynn.router.access import AccessLog, open_access
from flynn.router.client import Client
from flynn.router.feed import Waiting
from flynn.router.former import Former, State
from flynn.router.listen import accepting
from flynn.router.noting import noting
from flynn.router.proxied import Door
from flynn.router.proxy import Proxy
from flynn.router.tcp_ports import Ports


class Plane:
    """HTTP through `proxy` (and `door`, if proxies before this one send a header first), TCP through `ports`.

    `changed` is called when `state` may give something else. `former`: the router before this one, if there is any.
    `accepted`: whether clients were ever accepted. It works from when it is built until `close`.
    """

    def __init__(self, proxy: Proxy, ports: Ports, door: Door | None = None) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.proxy, self.ports = proxy, ports
        self.former: Former | None = None
        self.access: AccessLog | None = None
        self.accepted = False
        self._door = door
        self._open = contextlib.AsyncExitStack()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._works = [self._begin(proxy.sweep(), "router sweep"), self._begin(ports.work(), "router TCP ports")]
        proxy.registry.when_less = lambda: self.changed()

    def follow(self, facts: Facts) -> bool:
        """Route by these facts from now on; False: nothing in them concerns the router."""
        if not self.proxy.registry.swap(facts, self.proxy.clock()):
            return False
        self.ports.follow(self.proxy.registry.tcp.values())
        if self.former is not None:
            self.former.show(facts)
        self.changed()
        return True

    def state(self) -> State:
        """The revision that is followed, and the requests in flight on each draining instance, the former's too."""
        registry = self.proxy.registry
        own = (registry.revision, registry.draining())
        return self.former.state(own) if self.former is not None else own

    async def log(self, path: str, form: str, sample: float) -> None:
        """Have requests logged, if there is a path. StartError: it cannot be."""
        self.access = await self._open.enter_async_context(open_access(path, form, sample))
        self.proxy.access = noting(self.access, self.proxy) if self.access else None

    async def succeed(self, channel: Channel) -> None:
        """Be the next one after the router at the other end."""
        self.former = Former(channel, lambda: self.changed(), self.adopt)
        self._begin(self.former.work(), "router before")
        await self.former.greeted()

    async def accept(self, sockets: list[socket.socket]) -> None:
        """Accept clients from now on, if it does not already."""
        if self._servers:
            return
        self._servers = await accepting(self._door.client if self._door else self.proxy.client, sockets)
        await self.ports.accept()
        self.accepted = True
        if self.former is not None:
            await self.former.serving()

    def stop_accepting(self) -> None:
        """Those connected stay."""
        for server in self._servers:
            server.close()
        self._servers = []
        self.ports.stop_accepting()

    def adopt(self, sock: socket.socket, waiting: Waiting) -> None:
        """Go on with a client of the router before."""
        self._begin(self._adopt(sock, waiting), "adopt a client")

    async def watch(self) -> None:
        """For ever, unless the plane fails."""
        await asyncio.gather(*(asyncio.shield(work) for work in self._works))

    async def drain(self, timeout: float, tunnels: float, idle: bool = True) -> None:
        """End what is under way, as the proxy does; connections of TCP routes are tunnels. The router before does so
        too, and is waited for."""
        if self._door is not None and idle:
            self._door.close()
        await self._until_in()
        await asyncio.gather(
            self.proxy.drain(timeout, tunnels, idle),
            self.ports.drain(tunnels),
            self._former_gone(max(timeout, tunnels)),
        )

    async def close(self) -> None:
        """End all at once."""
        self.stop_accepting()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._door is not None:
            self._door.close()
        for client in tuple(self.proxy.clients):
            client.transport.abort()
        self.proxy.registry.close_idle()
        await self._open.aclose()

    async def _until_in(self) -> None:
        """Wait for those whose header is still to come: they are no clients yet."""
        while self._door is not None and self._door.waiting:
            await asyncio.sleep(self.proxy.limits.sweep)

    async def _former_gone(self, limit: float) -> None:
        if self.former is not None and self.accepted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self.former.gone.wait()

    async def _adopt(self, sock: socket.socket, waiting: Waiting) -> None:
        def made() -> Client:
            client = self.proxy.client()
            client.served, client.peer, client.own = waiting.served, waiting.peer, waiting.own
            return client

        with contextlib.suppress(OSError):  # It has gone meanwhile.
            sock.setblocking(False)
            await self.proxy.loop.connect_accepted_socket(made, sock)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""The router brick: the table follows the facts live, the sockets open once it is built, and stopping loses nothing."""

import asyncio
import contextlib
import gc
import ipaddress
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Literal

from flynn.core.brick import Context
from flynn.core.errors import StartError
from flynn.core.facts import Facts
from flynn.core.web import Route
from flynn.router import api
from flynn.router.access import open_access
from flynn.router.drain import Told
from flynn.router.listen import bound, close, listening, open_sockets
from flynn.router.noting import noting
from flynn.router.proxied import Door
from flynn.router.proxy import Limits, Proxy
from flynn.router.registry import Registry
from flynn.router.tcp_ports import Ports
from flynn.router.upstream import Networks

FAREWELL = 3.0
"""Seconds that the store has to take the removal of the router's record, when the router stops."""


class RouterConfig(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the router, its limits among them. Times are seconds.

    `bind` empty: all addresses. `trusted`: networks (`10.0.0.0/8`) of proxies before this one, whose X-Forwarded-*
    are believed. `proxy_protocol`: each connection to `port` must begin with a PROXY header, and come from `trusted` if
    that is set. `head_timeout` is for a whole head; `first_byte_timeout` from the request's last byte to the answer's
    first; `idle_timeout` without a byte either way, `tcp_idle_timeout` in connections of TCP routes. `access_log`: the
    file that requests are written to, empty: none, `-`: standard output; `access_sample`: which part of them, 0 to 1.
    """

    port: int = 8080
    bind: str = ""
    trusted: tuple[str, ...] = ()
    proxy_protocol: bool = False
    drain_timeout: float = 30.0
    access_log: str = ""
    access_format: Literal["heroku", "json"] = "heroku"
    access_sample: float = 1.0


class RouterBrick:
    """HTTP from the world to the apps of the grid."""

    name = "router"
    Config = RouterConfig

    def __init__(self, config: RouterConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        """Route until told to stop; then end what is under way."""
        config = self.config
        registry = Registry(host=ctx.host)
        proxy = Proxy(registry, config, _networks(config.trusted), ctx.token)
        told = Told(ctx.host, ctx.lease, lambda: (registry.revision, registry.draining()), config.port, ctx.node.url)
        registry.when_less = told.changed

        def say() -> None:
            ctx.say("; ".join(filter(None, [_sentence(registry, config.port), ports.sentence()])))

        def follow(facts: Facts) -> None:
            if registry.swap(facts, proxy.clock()):
                told.changed()
                ports.follow(registry.tcp.values())
                say()

        ports = Ports(proxy, partial(bound, config.bind), close, (config.port, ctx.node.port))
        ports.changed = say
        async with open_access(config.access_log, config.access_format, config.access_sample) as access:
            if access is not None:
                proxy.access = noting(access, proxy)
            routes = api.routes(ctx, proxy, ports, access)
            sockets = open_sockets(config.bind, config.port)
            with ctx.mirror.listening(follow):
                async with _background(proxy, ports, told):
                    follow(ctx.mirror.facts)
                    await self._serve(ctx, routes, proxy, ports, told, sockets)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await told.end()

    async def _serve(
        self, ctx: Context, routes: list[Route], proxy: Proxy, ports: Ports, told: Told, sockets: list[socket.socket]
    ) -> None:
        with ctx.web.serving(*routes):
            door = Door(proxy)
            protocol = door.client if self.config.proxy_protocol else proxy.client
            async with listening(protocol, sockets):
                await ports.accept()
                await told.begin()
                gc.collect()
                gc.freeze()
                ctx.ready()
                await ctx.stopping.wait()
            ctx.say("ending the requests under way")
            ports.stop_accepting()
            door.close()
            limit = self.config.drain_timeout
            await asyncio.gather(proxy.drain(limit), ports.drain(limit))
            gc.unfreeze()


@contextlib.asynccontextmanager
async def _background(proxy: Proxy, ports: Ports, told: Told) -> AsyncIterator[None]:
    """The sweep and the telling, for the length of a block."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(proxy.sweep(), name="router sweep"),
            tasks.create_task(ports.work(), name="router TCP ports"),
            tasks.create_task(told.keep(), name="router telling"),
        ]
        yield
        for task in running:
            task.cancel()


def _networks(cidrs: tuple[str, ...]) -> Networks:
    try:
        return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    except ValueError as error:
        raise StartError(f"router.trusted is no list of networks such as 10.0.0.0/8: {error}") from None


def _sentence(registry: Registry, port: int) -> str:
    hosts = _count(len(registry.table.hosts), "host")
    return f"routing {hosts} to {_count(registry.targets, 'instance')} on port {port}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

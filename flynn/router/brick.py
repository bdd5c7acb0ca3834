"""The router brick: the table follows the facts live, the sockets open once it is built, and stopping loses nothing."""

import asyncio
import contextlib
import gc
import ipaddress
import socket
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from flynn.core.brick import Context
from flynn.core.errors import StartError
from flynn.core.facts import Facts
from flynn.core.web import Handler, Route, answer
from flynn.router.drain import Told
from flynn.router.listen import bound, close, listening, open_sockets
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
    first; `idle_timeout` without a byte either way, `tcp_idle_timeout` in connections of TCP routes.
    """

    port: int = 8080
    bind: str = ""
    trusted: tuple[str, ...] = ()
    proxy_protocol: bool = False
    drain_timeout: float = 30.0


class RouterBrick:
    """HTTP from the world to the apps of the grid."""

    name = "router"
    Config = RouterConfig

    def __init__(self, config: RouterConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        """Route until told to stop; then end what is under way."""
        config = self.config
        registry = Registry()
        proxy = Proxy(registry, config, _networks(config.trusted), ctx.token)
        told = Told(ctx.host, ctx.lease, lambda: (registry.revision, registry.draining()), config.port)
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
        sockets = open_sockets(config.bind, config.port)
        with ctx.mirror.listening(follow):
            async with _background(proxy, ports, told):
                follow(ctx.mirror.facts)
                await self._serve(ctx, proxy, ports, told, sockets)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await told.end()

    async def _serve(self, ctx: Context, proxy: Proxy, ports: Ports, told: Told, sockets: list[socket.socket]) -> None:
        with ctx.web.serving(Route("GET", "/v1/router/stats", _stats(proxy, ports))):
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


def _stats(proxy: Proxy, ports: Ports) -> Handler:
    async def stats(request: web.Request) -> web.StreamResponse:
        """Counters since the router started, by service and by TCP route."""
        return answer(
            {
                "clients": len(proxy.clients),
                "refused": proxy.refused,
                "revision": proxy.registry.revision,
                "services": {name: service.counters() for name, service in proxy.registry.services.items()},
                "tcp": ports.counters(),
            }
        )

    return stats

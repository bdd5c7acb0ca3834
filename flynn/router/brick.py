"""The router brick: the table follows the facts live, the sockets open once it is built, and stopping loses nothing."""

import asyncio
import contextlib
import gc
import ipaddress
import socket
from collections.abc import AsyncIterator

from aiohttp import web

from flynn.core.brick import Context
from flynn.core.errors import StartError
from flynn.core.facts import Facts
from flynn.core.web import Handler, Route, answer
from flynn.router.drain import Told
from flynn.router.listen import listening, open_sockets
from flynn.router.proxied import Door
from flynn.router.proxy import Limits, Proxy
from flynn.router.registry import Registry
from flynn.router.upstream import Networks

FAREWELL = 3.0
"""Seconds that the store has to take the removal of the router's record, when the router stops."""


class RouterConfig(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the router, its limits among them. Times are seconds.

    `bind` empty: all addresses. `trusted`: networks (`10.0.0.0/8`) of proxies before this one, whose X-Forwarded-*
    are believed. `proxy_protocol`: each connection to `port` must begin with a PROXY header, and come from `trusted` if
    that is set. `head_timeout` is for a whole head; `first_byte_timeout` from the request's last byte to the answer's
    first; `idle_timeout` without a byte either way.
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

        def follow(facts: Facts) -> None:
            if registry.swap(facts, proxy.clock()):
                told.changed()
                ctx.say(_sentence(registry, config.port))

        sockets = open_sockets(config.bind, config.port)
        with ctx.mirror.listening(follow):
            async with _background(proxy, told):
                follow(ctx.mirror.facts)
                await self._serve(ctx, proxy, told, sockets)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await told.end()

    async def _serve(self, ctx: Context, proxy: Proxy, told: Told, sockets: list[socket.socket]) -> None:
        with ctx.web.serving(Route("GET", "/v1/router/stats", _stats(proxy))):
            door = Door(proxy)
            async with listening(door.client if self.config.proxy_protocol else proxy.client, sockets):
                await told.begin()
                gc.collect()
                gc.freeze()
                ctx.ready()
                await ctx.stopping.wait()
            ctx.say("ending the requests under way")
            door.close()
            await proxy.drain(self.config.drain_timeout)
            gc.unfreeze()


@contextlib.asynccontextmanager
async def _background(proxy: Proxy, told: Told) -> AsyncIterator[None]:
    """The sweep and the telling, for the length of a block."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(proxy.sweep(), name="router sweep"),
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
    instances = sum(len(service.targets) for service in registry.services.values())
    return f"routing {_count(len(registry.table.hosts), 'host')} to {_count(instances, 'instance')} on port {port}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _stats(proxy: Proxy) -> Handler:
    async def stats(request: web.Request) -> web.StreamResponse:
        """Counters since the router started, by service."""
        return answer(
            {
                "clients": len(proxy.clients),
                "refused": proxy.refused,
                "revision": proxy.registry.revision,
                "services": {name: service.counters() for name, service in proxy.registry.services.items()},
            }
        )

    return stats

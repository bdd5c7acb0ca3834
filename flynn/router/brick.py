"""The router brick: the table follows the facts live, the sockets open once it is built, and stopping loses nothing."""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator
from functools import partial

from flynn.core.brick import Context
from flynn.core.channel import Channel, pair
from flynn.core.facts import Facts
from flynn.core.files import limit
from flynn.router import api
from flynn.router.config import RouterConfig as RouterConfig
from flynn.router.config import networks
from flynn.router.drain import Told
from flynn.router.lameduck import LameDuck
from flynn.router.listen import bound, open_sockets
from flynn.router.plane import Plane
from flynn.router.proxied import Door
from flynn.router.proxy import GOODBYE, Proxy
from flynn.router.registry import Registry
from flynn.router.room import shortage
from flynn.router.tcp_ports import Ports

log = logging.getLogger(__name__)

FAREWELL = 3.0
"""Seconds that the store has to take the removal of the router's record, when the router stops."""

STOPPING = GOODBYE + FAREWELL + 5.0
"""Seconds that stopping may take beyond its limits."""


class RouterBrick:
    """HTTP from the world to the apps of the grid."""

    name = "router"
    Config = RouterConfig

    def __init__(self, config: RouterConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        """Route until told to stop; then end what is under way, or leave it at work while the daemon hands over."""
        config = self.config
        ctx.stop_limit = max(config.drain_timeout, config.tunnel_drain_timeout) + STOPPING
        if few := shortage(config.max_clients, limit()):
            log.warning(few)
        plane = await self._plane(ctx)
        told = Told(ctx.host, ctx.lease, plane.state, config.port, ctx.node.url)

        def say() -> None:
            ctx.say("; ".join(filter(None, [_sentence(plane.proxy.registry, config.port), plane.ports.sentence()])))

        def follow(facts: Facts) -> None:
            if plane.follow(facts):
                say()

        plane.changed, plane.ports.changed = told.changed, say
        try:
            sockets = open_sockets(config.bind, config.port, ctx.estate, config.share_port)
            with ctx.mirror.listening(follow):
                async with _background(plane, told):
                    follow(ctx.mirror.facts)
                    await self._serve(ctx, plane, told, sockets)
            if ctx.estate.handing and plane.accepted:
                await self._leave(ctx, plane)
                return
        except BaseException:
            await plane.close()
            raise
        await plane.close()
        if not ctx.estate.handing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await told.end()

    async def _plane(self, ctx: Context) -> Plane:
        """The one left at work by a hand-over that failed, or a new one."""
        duck: LameDuck | None = ctx.estate.take_back(self.name)
        if duck is not None:
            duck.close()
            return duck.plane
        config, estate = self.config, ctx.estate
        proxy = Proxy(Registry(host=ctx.host), config, networks(config.trusted), ctx.token)
        opened = partial(bound, config.bind, estate=estate, share=config.share_port)
        ports = Ports(proxy, opened, lambda sockets: estate.close(*sockets), (config.port, ctx.node.port))
        plane = Plane(proxy, ports, Door(proxy) if config.proxy_protocol else None)
        try:
            await plane.log(config.access_log, config.access_format, config.access_sample)
            if before := estate.take(self.name):
                await plane.succeed(Channel(before))
        except BaseException:
            await plane.close()
            raise
        return plane

    async def _serve(self, ctx: Context, plane: Plane, told: Told, sockets: list[socket.socket]) -> None:
        config = self.config
        part = api.part(plane.proxy, plane.ports, plane.access)
        routes = api.routes(ctx, plane.proxy, plane.ports, part)
        with ctx.web.serving(*routes), ctx.metrics.offering(self.name, part):
            await told.begin()
            if plane.former is None:
                await plane.accept(sockets)
            gc.collect()
            gc.freeze()
            claimed = self._claim(ctx, plane) if plane.former else {}
            ctx.ready()
            if plane.former is not None and await _first(ctx.up, ctx.stopping) is ctx.up:
                # Not before all else is up: until then this process may fail, and nobody shall notice.
                await plane.accept(sockets)
            for number in claimed.keys() - plane.ports.ports.keys():
                ctx.estate.close(*claimed[number])
            await ctx.stopping.wait()
        gc.unfreeze()
        if not ctx.estate.handing:
            plane.stop_accepting()
            ctx.estate.close(*sockets)
            ctx.say("ending the requests under way")
            await plane.drain(config.drain_timeout, config.tunnel_drain_timeout)

    def _claim(self, ctx: Context, plane: Plane) -> dict[int, list[socket.socket]]:
        """Have the sockets of TCP routes that the router before listens on, until clients are accepted there."""
        config, claimed = self.config, dict[int, list[socket.socket]]()
        for number in plane.ports.ports.keys() - {config.port}:
            with contextlib.suppress(OSError):
                claimed[number] = bound(config.bind, number, ctx.estate, config.share_port)
        return claimed

    async def _leave(self, ctx: Context, plane: Plane) -> None:
        mine, theirs = pair()
        duck = LameDuck(plane, Channel(mine), self.config.drain_timeout, self.config.tunnel_drain_timeout)
        await duck.greet()
        ctx.estate.leave(self.name, duck, theirs)


@contextlib.asynccontextmanager
async def _background(plane: Plane, told: Told) -> AsyncIterator[None]:
    """A look at the plane and the telling, for the length of a block."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(plane.watch(), name="router plane"),
            tasks.create_task(told.keep(), name="router telling"),
        ]
        yield
        for task in running:
            task.cancel()


async def _first(one: asyncio.Event, other: asyncio.Event) -> asyncio.Event:
    """The first of these to be set."""
    waiting = {asyncio.create_task(event.wait()): event for event in (one, other)}
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return waiting[done.pop()]


def _sentence(registry: Registry, port: int) -> str:
    hosts = _count(len(registry.table.hosts), "host")
    return f"routing {hosts} to {_count(registry.targets, 'instance')} on port {port}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

"""What a router tells of itself: its counts, as JSON and for Prometheus.

It may have 100 000 routes: whoever goes through them gives the loop its turn every few.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping

import msgspec
import psutil
from aiohttp import hdrs, web

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.web import Handler, Route
from flynn.router import grid
from flynn.router.access import AccessLog
from flynn.router.counts import BOUNDS
from flynn.router.metrics import CONTENT_TYPE, metrics
from flynn.router.proxy import Proxy
from flynn.router.snapshot import InstanceSeen, ProcessSeen, RouterSeen, RouteSeen, idle
from flynn.router.stats import raw, route_stats, service_stats
from flynn.router.target import Target
from flynn.router.tcp_ports import Ports
from flynn.router.turns import turns

SCRAPE = 60.0
"""Seconds that whoever reads the metrics has to take them."""


def routes(ctx: Context, proxy: Proxy, ports: Ports, access: AccessLog | None = None) -> list[Route]:
    """The routes of the node API that a router serves."""
    scrape = _metrics(proxy, ports, access)
    return [
        Route("GET", "/v1/router/stats", _stats(proxy, ports, ctx.clock())),
        Route("GET", "/v1/routers/stats", grid.stats(ctx)),
        Route("GET", "/v1/router/metrics", scrape),
        Route("GET", "/metrics", scrape),
    ]


def _stats(proxy: Proxy, ports: Ports, started: float) -> Handler:
    async def stats(request: web.Request) -> web.StreamResponse:
        """Counters since the router started, by service and by route: HTTP routes that had a request, or all."""
        query = request.query
        whole = query.get("all") == "true"
        shown, named = {}, set()
        async for row in turns(_rows(proxy)):
            if _asked(row.route, query) and (whole or not idle(row.counts)):
                shown[row.route.id] = raw(route_stats(row.route, row.counts))
                named.add(row.route.service)
        some, services = query.keys() & {"app", "route"}, {}
        async for name, service in turns(tuple(proxy.registry.services.items())):
            if name in named if some else whole or service.used:
                services[name] = raw(service_stats(service))
        told = {
            "clients": len(proxy.clients),
            "refused": proxy.refused,
            "revision": proxy.registry.revision,
            "started": started,
            "bounds": BOUNDS,
            "services": services,
            "routes": shown,
            "tcp": _tcp(ports, query),
        }
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    return stats


def _metrics(proxy: Proxy, ports: Ports, access: AccessLog | None) -> Handler:
    async def scrape(request: web.Request) -> web.StreamResponse:
        """All of it, for Prometheus."""
        seen = await _seen(proxy, ports, access)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})
        async with asyncio.timeout(SCRAPE):
            await response.prepare(request)
            async for piece in turns(metrics(seen), 1):
                await response.write(piece)
        return response

    return scrape


async def _seen(proxy: Proxy, ports: Ports, access: AccessLog | None) -> RouterSeen:
    """The router as it is now, without the routes and instances that had no request."""
    routes = [row async for row in turns(_rows(proxy)) if not idle(row.counts)]
    instances = [
        _instance(target)
        async for service in turns(tuple(proxy.registry.services.values()))
        for target in service.instances.values()
        if target.used
    ]
    process = await asyncio.to_thread(_process)
    unlogged = access.missing() if access else 0
    return RouterSeen(
        len(proxy.clients), proxy.refused, unlogged, proxy.faults.copy(), process, routes, instances, ports.counters()
    )


def _rows(proxy: Proxy) -> Iterable[RouteSeen]:
    """Each route and its counts."""
    return (RouteSeen(place.route, place.counts) for place in tuple(proxy.registry.places.values()))


def _instance(target: Target) -> InstanceSeen:
    return InstanceSeen(
        target.instance.service,
        target.instance.id,
        target.answers,
        target.in_flight,
        target.reused,
        target.opened,
        target.failures,
    )


def _process() -> ProcessSeen:
    """This process. Reads /proc, where a directory of many thousand open files takes its time."""
    me = psutil.Process(os.getpid())
    with me.oneshot():
        used = me.cpu_times()
        return ProcessSeen(used.user + used.system, me.memory_info().rss, me.num_fds(), me.create_time())


def _tcp(ports: Ports, query: Mapping[str, str]) -> dict[str, dict[str, object]]:
    asked = {port.route.id for port in ports.ports.values() if _asked(port.route, query)}
    return {id: told for id, told in ports.counters().items() if id in asked}


def _asked(route: model.Route, query: Mapping[str, str]) -> bool:
    return query.get("route", route.id) == route.id and query.get("app", route.app) == route.app

"""What a router tells of itself: its counts, as JSON and for Prometheus.

It may have 100 000 routes: whoever goes through them gives the loop its turn every few.
"""

from collections.abc import AsyncGenerator, Iterable

import msgspec
from aiohttp import web

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.metrics import Part, send
from flynn.core.route_stats import GridStats, RouterStats, RouteStats, ServiceStats, TcpStats
from flynn.core.web import TEXT, Handler, Route, query
from flynn.router import grid
from flynn.router.access import AccessLog
from flynn.router.counts import BOUNDS
from flynn.router.metrics import metrics
from flynn.router.proxy import Proxy
from flynn.router.snapshot import InstanceSeen, RouterSeen, RouteSeen, idle
from flynn.router.stats import raw, route_stats, service_stats
from flynn.router.target import Target
from flynn.router.tcp_ports import Ports
from flynn.router.turns import turns


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`all`: routes that had no request as well; `app`, `route`: of this alone."""

    all: bool = False
    app: str | None = None
    route: str | None = None


class OneRouter(RouterStats, frozen=True, kw_only=True):
    """What one router counted. `bounds`: in seconds."""

    bounds: tuple[float, ...] = ()
    services: dict[str, ServiceStats] = {}
    routes: dict[str, RouteStats] = {}
    tcp: dict[str, TcpStats] = {}


def routes(ctx: Context, proxy: Proxy, ports: Ports, metrics: Part) -> list[Route]:
    """The routes of the node API that a router serves. `metrics`: its part of the node's."""

    async def scrape(request: web.Request) -> web.StreamResponse:
        """The router's alone, for Prometheus."""
        return await send(request, metrics())

    return [
        Route("GET", "/v1/router/stats", _stats(proxy, ports, ctx.clock()), "this router", OneRouter, query=Which),
        Route("GET", "/v1/routers/stats", grid.stats(ctx), "all routers, added up", GridStats, query=Which),
        Route("GET", "/v1/router/metrics", scrape, "this router, for Prometheus", TEXT),
    ]


def _stats(proxy: Proxy, ports: Ports, started: float) -> Handler:
    async def stats(request: web.Request) -> web.StreamResponse:
        """Counters since the router started, by service and by route: HTTP routes that had a request, or all."""
        asked = query(request, Which)
        shown, named = {}, set()
        async for row in turns(_rows(proxy)):
            if _asked(row.route, asked) and (asked.all or not idle(row.counts)):
                shown[row.route.id] = raw(route_stats(row.route, row.counts))
                named.add(row.route.service)
        some, services = asked.app is not None or asked.route is not None, {}
        async for name, service in turns(tuple(proxy.registry.services.items())):
            if name in named if some else asked.all or service.used:
                services[name] = raw(service_stats(service))
        told = {
            "clients": len(proxy.clients),
            "refused": proxy.refused,
            "revision": proxy.registry.revision,
            "started": started,
            "bounds": BOUNDS,
            "services": services,
            "routes": shown,
            "tcp": _tcp(ports, asked),
        }
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    return stats


def part(proxy: Proxy, ports: Ports, access: AccessLog | None = None) -> Part:
    """The router's part of the node's metrics."""

    async def told() -> AsyncGenerator[bytes, None]:
        async for piece in turns(metrics(await _seen(proxy, ports, access)), 1):
            yield piece

    return told


async def _seen(proxy: Proxy, ports: Ports, access: AccessLog | None) -> RouterSeen:
    """The router as it is now, without the routes and instances that had no request."""
    routes = [row async for row in turns(_rows(proxy)) if not idle(row.counts)]
    instances = [
        _instance(target)
        async for service in turns(tuple(proxy.registry.services.values()))
        for target in service.instances.values()
        if target.used
    ]
    unlogged = access.missing() if access else 0
    return RouterSeen(
        len(proxy.clients), proxy.refused, unlogged, proxy.faults.copy(), routes, instances, ports.counters()
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


def _tcp(ports: Ports, asked: Which) -> dict[str, dict[str, object]]:
    shown = {port.route.id for port in ports.ports.values() if _asked(port.route, asked)}
    return {id: told for id, told in ports.counters().items() if id in shown}


def _asked(route: model.Route, asked: Which) -> bool:
    return asked.route in (None, route.id) and asked.app in (None, route.app)

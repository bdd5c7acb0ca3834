"""The counts of all routers of the grid, added up."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from flynn.core.brick import Context
from flynn.core.route_stats import RouterStats, RouteStats, ServiceStats, TcpStats
from flynn.core.web import Handler
from flynn.router.counts import BOUNDS
from flynn.router.stats import add_routes, add_services, add_tcp, raw
from flynn.router.turns import turns

ASK = 2.0
"""Seconds that a router has for its answer."""


T = TypeVar("T")


class Told(RouterStats, frozen=True, kw_only=True):
    """One router's answer, or the `error` in its place. The long parts are read piece by piece."""

    services: dict[str, msgspec.Raw] = {}
    routes: dict[str, msgspec.Raw] = {}
    tcp: dict[str, msgspec.Raw] = {}


def stats(ctx: Context, limit: float = ASK) -> Handler:
    """What answers `GET /v1/routers/stats`. Each router has `limit` seconds."""

    async def grid_stats(request: web.Request) -> web.StreamResponse:
        """Every router's counters and their sum. The query goes to each router."""
        routers = sorted(ctx.mirror.facts.routers.items())
        answers = await asyncio.gather(*(_ask(ctx, router.url, request.query, limit) for _, router in routers))
        told = {host: answer for (host, _), answer in zip(routers, answers, strict=True)}
        odd: dict[str, str] = {}
        services = await _added("services", told, odd, ServiceStats, add_services)
        routes = await _added("routes", told, odd, RouteStats, add_routes)
        tcp = await _added("tcp", told, odd, TcpStats, add_tcp)
        total = {
            "routers": {host: {"error": odd[host]} if host in odd else _alone(told[host]) for host in told},
            "clients": sum(router.clients for router in told.values()),
            "refused": sum(router.refused for router in told.values()),
            "bounds": BOUNDS,
            "services": services,
            "routes": routes,
            "tcp": tcp,
        }
        return web.Response(body=msgspec.json.encode(total), content_type="application/json")

    return grid_stats


async def _ask(ctx: Context, url: str, query: Mapping[str, str], limit: float) -> Told:
    try:
        async with asyncio.timeout(limit), ctx.http.get(f"{url}/v1/router/stats", params=dict(query)) as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=Told)
    except TimeoutError:
        return Told(error=f"{url} does not answer: nothing within {limit:g} s")
    except (aiohttp.ClientError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Told(error=f"{url} does not answer: {str(error) or type(error).__name__}")


def _alone(router: Told) -> dict[str, Any]:
    if router.error:
        return {"error": router.error}
    names = ("clients", "refused", "revision", "started")
    return {name: getattr(router, name) for name in names}


async def _added(
    part: str, told: Mapping[str, Told], odd: dict[str, str], kind: type[T], add: Callable[[Iterable[T]], T]
) -> dict[str, msgspec.Raw]:
    """By name, what all have under it in this part. Who tells what is not understood is noted in `odd`."""
    decoder = msgspec.json.Decoder(kind)
    parts: dict[str, dict[str, msgspec.Raw]] = {host: getattr(router, part) for host, router in told.items()}
    added: dict[str, msgspec.Raw] = {}
    async for name in turns(sorted(set().union(*parts.values()))):
        entries = []
        for host, rows in parts.items():
            try:
                entries += [decoder.decode(rows[name])] if name in rows else []
            except msgspec.DecodeError:
                odd[host] = f"its {part} are not all understood; is its daemon of another version?"
        if entries:
            added[name] = raw(add(entries))
    return added

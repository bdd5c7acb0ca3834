"""The looks of what routers count. Pure."""

from collections.abc import Mapping

from flynn.cli.rates import Interval, requests
from flynn.cli.words import count, size, table
from flynn.core.quantile import quantile
from flynn.core.route_stats import GridStats, RouteStats, TcpStats

TCP = ("TCP", "CONNECTIONS", "OPEN", "REFUSED", "RETRIES", "RECEIVED", "SENT", "")


def stats(total: GridStats) -> list[str]:
    """One line a route, the busiest first; TCP routes by themselves; and the routers that did not answer."""
    rows = sorted(total.routes.values(), key=lambda route: (-requests(route), place(route)))
    head = ("ROUTE", "REQUESTS", "2XX", "3XX", "4XX", "5XX", "P50", "P95", "P99", "IN FLIGHT", "RETRIES", "REUSED")
    shown = table([_route(route, total) for route in rows], head)
    ports = table([_port(row) for row in sorted(total.tcp.values(), key=lambda row: row.port)], TCP)
    lines = [*shown, *([""] if shown and ports else []), *ports] or ["no requests yet"]
    return lines + silent({name: router.error for name, router in total.routers.items() if router.error})


def top(seen: Interval, rows: int = 1000) -> list[str]:
    """What happened in an interval: a sum, then the busiest routes, so many at most."""
    errors = f", {rate(seen.errors)} errors/s" if seen.errors else ""
    sums = f"{rate(seen.requests)} requests/s{errors}, {seen.in_flight} in flight, {count(seen.clients, 'client')}"
    shown = [
        (place(r.route), rate(r.requests), rate(r.errors) if r.errors else "-", seconds(r.p95), r.route.in_flight,
         r.route.queued)
        for r in seen.routes[:rows]
    ]  # fmt: skip
    more = [f"and {count(len(seen.routes) - rows, 'route')} more"] if len(seen.routes) > rows else []
    head = ("ROUTE", "REQUESTS/S", "ERRORS/S", "P95", "IN FLIGHT", "QUEUED")
    return [f"=== {sums}, over {seen.seconds:.1f} s", *table(shown, head), *more, *silent(seen.silent)]


def silent(routers: Mapping[str, str]) -> list[str]:
    """The routers that are not counted, and why."""
    return [f"not counted: {name} ({why})" for name, why in sorted(routers.items())]


def place(route: RouteStats) -> str:
    """What comes in where: `www.example.com/api`."""
    return route.domain + route.path.rstrip("/")


def seconds(value: float | None) -> str:
    """A duration: `0.8 ms`, `12 ms`, `1.3 s`; `-` where there is none."""
    if value is None:
        return "-"
    if value >= 0.9995:
        return f"{value:.1f} s"
    return f"{value * 1000:.0f} ms" if value >= 0.00995 else f"{value * 1000:.1f} ms"


def rate(value: float) -> str:
    """So many a second: `0.5`, `12`, `1234`."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def _route(route: RouteStats, total: GridStats) -> tuple[object, ...]:
    times = [seconds(quantile(route.durations, total.bounds, share)) for share in (0.5, 0.95, 0.99)]
    classes = [route.answers.get(kind, 0) for kind in ("2xx", "3xx", "4xx", "5xx")]
    retries = route.retries + route.replays
    return (place(route), requests(route), *classes, *times, route.in_flight, retries, _reused(route, total))


def _port(row: TcpStats) -> tuple[object, ...]:
    received, sent = size(row.received), size(row.sent)
    return (f"port {row.port}", row.connections, row.in_flight, row.refused, row.retries, received, sent, row.problem)


def _reused(route: RouteStats, total: GridStats) -> str:
    """How many of the requests to its service found a connection there: `99.8 %`."""
    service = total.services.get(route.service)
    used = service.connections if service else {}
    every = sum(used.values())
    # Not rounded up: 100 % means that none was opened.
    return f"{int(used.get('reused', 0) / every * 1000) / 10:g} %" if every else "-"

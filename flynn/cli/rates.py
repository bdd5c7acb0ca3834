"""What happened between two looks at the routers: requests and errors a second, by route. Pure."""

from collections.abc import Mapping

import msgspec

from flynn.core.quantile import quantile
from flynn.core.route_stats import GridStats, RouteStats


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A route over an interval, a second; `errors` are answers of 500 and more, `p95` is in seconds."""

    route: RouteStats
    requests: float
    errors: float
    p95: float | None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """All routers over an interval of `seconds`. Busiest routes first, without those that have nothing to do."""

    seconds: float
    requests: float
    errors: float
    in_flight: int
    clients: int
    silent: dict[str, str]
    routes: tuple[Rate, ...]


def comparable(before: GridStats, after: GridStats) -> bool:
    """Whether both are sums over the same routers, none of which started anew meanwhile."""
    return _summed(before) == _summed(after)


def interval(before: GridStats, after: GridStats, seconds: float) -> Interval:
    """What happened between two looks that are comparable and so many seconds apart."""
    nothing = RouteStats()
    rates = [_rate(before.routes.get(id, nothing), route, after.bounds, seconds) for id, route in after.routes.items()]
    busy = [rate for rate in rates if rate.requests or rate.route.in_flight or rate.route.queued]
    return Interval(
        seconds=seconds,
        requests=sum(rate.requests for rate in busy),
        errors=sum(rate.errors for rate in busy),
        in_flight=sum(rate.route.in_flight for rate in busy),
        clients=after.clients,
        silent={name: router.error for name, router in after.routers.items() if router.error},
        routes=tuple(sorted(busy, key=lambda rate: (-rate.requests, -rate.route.in_flight, rate.route.domain))),
    )


def requests(route: RouteStats) -> int:
    """All that were answered."""
    return sum(route.answers.values())


def errors(answers: Mapping[str, int]) -> int:
    """Answers of 500 and more."""
    return sum(count for kind, count in answers.items() if kind >= "5")


def _rate(before: RouteStats, after: RouteStats, bounds: tuple[float, ...], seconds: float) -> Rate:
    old = before.durations or (0,) * len(after.durations)
    new = [b - a for a, b in zip(old, after.durations, strict=False)]
    return Rate(
        route=after,
        requests=(requests(after) - requests(before)) / seconds,
        errors=(errors(after.answers) - errors(before.answers)) / seconds,
        p95=quantile(new, bounds, 0.95),
    )


def _summed(stats: GridStats) -> dict[str, float]:
    return {name: router.started for name, router in stats.routers.items() if not router.error}

"""What `GET /v1/router/stats` tells of a route, and what several routers tell added up. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from flynn.core.model import Route
from flynn.core.quantile import quantile
from flynn.core.route_stats import RouteStats, Seconds, ServiceStats, Tally, TcpStats
from flynn.router.counts import BOUNDS, Counts
from flynn.router.snapshot import durations

if TYPE_CHECKING:
    from flynn.router.service import Service


def raw(value: object) -> msgspec.Raw:
    """The value as JSON already: nothing is kept of thousands that the collector of garbage would look through."""
    return msgspec.Raw(msgspec.json.encode(value))


def route_stats(route: Route, counts: Counts) -> RouteStats:
    """The entry of a route."""
    classes = tuple(durations(counts))
    return RouteStats(
        domain=route.domain,
        path=route.path,
        app=route.app,
        service=route.service,
        answers=counts.answers(),
        in_flight=counts.in_flight,
        queued=counts.queued,
        gone=counts.gone,
        retries=counts.retries,
        replays=counts.replays,
        durations=classes,
        seconds=_seconds(sum(counts.seconds), classes),
    )


def service_stats(service: "Service") -> ServiceStats:
    """The entry of a service."""
    totals = service.totals()
    return ServiceStats(
        answers={f"{digit}xx": count for digit, count in enumerate(totals.answers) if count},
        in_flight=service.in_flight(),
        instances=len(service.targets),
        orphans=len(service.orphans),
        connections={"reused": totals.reused, "opened": totals.opened},
        releases={name: Tally(answers=n, failed=failed) for name, (n, failed) in service.by_release().items()},
    )


def add_routes(told: Iterable[RouteStats]) -> RouteStats:
    """One route (at least one entry of it) over several routers."""
    entries = list(told)
    if len(entries) == 1:
        return entries[0]
    classes = tuple(map(sum, zip_longest(*(entry.durations for entry in entries), fillvalue=0)))
    return msgspec.structs.replace(
        entries[0],
        answers=_added(entry.answers for entry in entries),
        in_flight=sum(entry.in_flight for entry in entries),
        queued=sum(entry.queued for entry in entries),
        gone=sum(entry.gone for entry in entries),
        retries=sum(entry.retries for entry in entries),
        replays=sum(entry.replays for entry in entries),
        durations=classes,
        seconds=_seconds(sum(entry.seconds.sum for entry in entries), classes),
    )


def add_services(told: Iterable[ServiceStats]) -> ServiceStats:
    """One service over several routers, each of which knows all its instances."""
    entries = list(told)
    return ServiceStats(
        answers=_added(entry.answers for entry in entries),
        in_flight=sum(entry.in_flight for entry in entries),
        instances=max(entry.instances for entry in entries),
        orphans=max(entry.orphans for entry in entries),
        connections=_added(entry.connections for entry in entries),
        releases=_tallied(entry.releases for entry in entries),
    )


def add_tcp(told: Iterable[TcpStats]) -> TcpStats:
    """One TCP route over several routers."""
    entries = list(told)
    return msgspec.structs.replace(
        entries[0],
        connections=sum(entry.connections for entry in entries),
        in_flight=sum(entry.in_flight for entry in entries),
        refused=sum(entry.refused for entry in entries),
        retries=sum(entry.retries for entry in entries),
        received=sum(entry.received for entry in entries),
        sent=sum(entry.sent for entry in entries),
        problem=next((entry.problem for entry in entries if entry.problem), ""),
    )


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return dict(sorted(total.items()))


def _tallied(tallies: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    total: dict[str, Tally] = {}
    for some in tallies:
        for name, tally in some.items():
            total[name] = total.get(name, Tally()).plus(tally)
    return total


def _seconds(total: float, classes: Sequence[int]) -> Seconds:
    p50, p95, p99 = (quantile(classes, BOUNDS, share) for share in (0.5, 0.95, 0.99))
    return Seconds(sum=total, p50=p50, p95=p95, p99=p99)

"""The text for Prometheus, read back by Prometheus' own parser; and the counts of several routers added up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from flynn.core.model import Route
from flynn.core.quantile import quantile
from flynn.core.route_stats import ServiceStats, TcpStats
from flynn.router.counts import BOUNDS, Counts
from flynn.router.metrics import FAMILIES, metrics
from flynn.router.snapshot import InstanceSeen, RouterSeen, RouteSeen, idle
from flynn.router.stats import add_routes, add_services, add_tcp, route_stats

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


TCP = {"port": 3000, "connections": 9, "in_flight": 2, "refused": 1, "retries": 3, "received": 10, "sent": 20}


def counted(*ended: tuple[int, float]) -> Counts:
    counts = Counts()
    for status, seconds in ended:
        counts.ended(status, seconds)
    return counts


def seen(*routes: RouteSeen, instances: tuple[InstanceSeen, ...] = ()) -> RouterSeen:
    faults = {("no-route", 404): 7, ("H12", 503): 1}
    return RouterSeen(5, 2, 1, faults, routes, instances, {"t": TCP})


def read(router: RouterSeen) -> Samples:
    """All samples, by name and labels. None is there twice, and each family stands together."""
    text = b"".join(metrics(router)).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) == len(FAMILIES)
    samples = [
        ((sample.name, frozenset(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
    ]
    assert len(dict(samples)) == len(samples)
    return dict(samples)


def sample(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_a_route() -> None:
    counts = counted((200, 0.0005), (200, 0.002), (302, 0.002), (503, 70.0))
    counts.in_flight, counts.queued, counts.retries, counts.replays, counts.gone = 3, 4, 5, 6, 7
    samples = read(seen(RouteSeen(Route(id="r", domain="app.test", service="app-web"), counts)))
    route = {"route": "r", "host": "app.test"}
    total = "flynn_router_requests_total"
    assert [sample(samples, total, **route, **{"class": kind}) for kind in ("2xx", "3xx", "4xx", "5xx")] == [
        2, 1, None, 1
    ]  # fmt: skip
    bucket = "flynn_router_request_seconds_bucket"
    assert [sample(samples, bucket, **route, le=le) for le in ("0.001", "0.0025", "60", "+Inf")] == [1, 3, 3, 4]
    assert sample(samples, "flynn_router_request_seconds_count", **route) == 4
    assert sample(samples, "flynn_router_request_seconds_sum", **route) == pytest.approx(70.0045)
    names = ("in_flight", "queued", "retries_total", "replays_total", "client_gone_total")
    assert [sample(samples, f"flynn_router_{name}", **route) for name in names] == [3, 4, 5, 6, 7]


def test_an_instance_and_the_router_itself() -> None:
    row = InstanceSeen("app-web", "i0", (0, 0, 8, 0, 1, 0, 0, 0, 0, 0), 2, 90, 10, 3)
    samples = read(seen(instances=(row,)))
    instance = {"service": "app-web", "instance": "i0"}
    total = "flynn_router_instance_requests_total"
    assert [sample(samples, total, **instance, **{"class": kind}) for kind in ("2xx", "4xx", "5xx")] == [8, 1, None]
    assert sample(samples, "flynn_router_instance_in_flight", **instance) == 2
    assert sample(samples, "flynn_router_instance_failures_total", **instance) == 3
    kinds = [sample(samples, "flynn_router_connections_total", **instance, kind=kind) for kind in ("reused", "opened")]
    assert kinds == [90, 10]
    whole = ("flynn_router_clients", "flynn_router_refused_total", "flynn_router_unlogged_total")
    assert [sample(samples, name) for name in whole] == [5, 2, 1]
    faults = [("no-route", "404"), ("H12", "503")]
    total = "flynn_router_faults_total"
    assert [sample(samples, total, code=code, status=status) for code, status in faults] == [7, 1]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_name_is_a_label_and_nothing_else(name: str) -> None:
    samples = read(seen(RouteSeen(Route(id="r", domain=name, service="s"), counted((200, 0.1)))))
    assert sample(samples, "flynn_router_in_flight", route="r", host=name) == 0


def test_a_tcp_route() -> None:
    samples = read(seen())
    names = ("connections_total", "in_flight", "refused_total", "retries_total", "received_bytes_total")
    values = [sample(samples, f"flynn_router_tcp_{name}", route="t", port="3000") for name in names]
    assert values == [9, 2, 1, 3, 10]


def test_the_text_comes_in_pieces() -> None:
    rows = [RouteSeen(Route(id=f"r{i}", domain=f"{i}.test", service="s"), counted((200, 0.1))) for i in range(500)]
    pieces = list(metrics(seen(*rows)))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 70_000


def test_a_route_without_a_request_is_idle() -> None:
    assert idle(Counts())
    assert not idle(counted((599, 99.0)))
    assert not idle(counted((100, 0.0)))
    waiting = Counts()
    waiting.queued = 1
    assert not idle(waiting)


durations = st.lists(st.floats(0.0001, 59.0), min_size=1, max_size=200)


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_an_estimate_is_in_the_class_of_the_true_one(values: list[float], share: float) -> None:
    counts = counted(*((200, value) for value in values))
    estimated = quantile(route_stats(Route(id="r", service="s"), counts).durations, BOUNDS, share)
    true = sorted(values)[min(int(share * len(values) - 1e-9), len(values) - 1)]
    assert estimated is not None
    upper = next(bound for bound in BOUNDS if true <= bound)
    lower = max((bound for bound in BOUNDS if bound < true), default=0.0)
    assert lower <= estimated <= upper + 1e-9


def test_estimates_at_the_edges() -> None:
    assert quantile([0, 0, 0], (1.0, 2.0), 0.5) is None
    assert quantile([0, 4, 0], (1.0, 2.0), 0.5) == 1.5
    assert quantile([0, 0, 4], (1.0, 2.0), 0.5) == 2.0


@given(durations, durations)
def test_two_routers_added_are_one_that_had_it_all(one: list[float], other: list[float]) -> None:
    route = Route(id="r", domain="app.test", service="app-web", app="app")
    parts = [counted(*((200 + 100 * (i % 4), v) for i, v in enumerate(values))) for values in (one, other)]
    for number, part in enumerate(parts, 1):
        part.in_flight, part.queued, part.gone, part.retries, part.replays = (number,) * 5
    every = counted(*((200 + 100 * (i % 4), v) for values in (one, other) for i, v in enumerate(values)))
    every.in_flight, every.queued, every.gone, every.retries, every.replays = (3,) * 5
    added, whole = add_routes(route_stats(route, part) for part in parts), route_stats(route, every)
    assert added.seconds.sum == pytest.approx(whole.seconds.sum)
    assert (added.seconds.p50, added.seconds.p95, added.seconds.p99) == (
        whole.seconds.p50, whole.seconds.p95, whole.seconds.p99
    )  # fmt: skip
    assert (added.answers, added.durations) == (whole.answers, whole.durations)
    assert (added.in_flight, added.queued, added.gone, added.retries, added.replays) == (3,) * 5


def test_instances_are_the_same_ones_at_each_router() -> None:
    one = ServiceStats(answers={"2xx": 1}, instances=3, connections={"reused": 1, "opened": 1})
    two = ServiceStats(answers={"5xx": 1}, instances=2, connections={"reused": 1})
    both = add_services([one, two])
    assert both.instances == 3
    assert both.answers == {"2xx": 1, "5xx": 1}
    assert both.connections == {"opened": 1, "reused": 2}


def test_a_port_that_one_router_could_not_open_is_told() -> None:
    one = TcpStats(port=3000, connections=1, sent=5)
    two = TcpStats(port=3000, connections=2, sent=6, problem="taken")
    assert add_tcp([one, two]) == TcpStats(port=3000, connections=3, sent=11, problem="taken")

"""route stats and route top: what they compute, and how it looks."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from flynn.cli import show_stats
from flynn.cli.rates import comparable, interval
from flynn.core.route_stats import GridStats, RouterStats, RouteStats, ServiceStats, TcpStats
from tests.cli.fake import TOKEN, FakeGrid
from tests.cli.shell import Shell

BOUNDS = (0.01, 0.1, 1.0)


def look(*, ok: int, failed: int = 0, started: float = 1.0, **more: Any) -> GridStats:
    """One busy route and one that had a request once; all requests took 10 to 100 ms."""
    busy = RouteStats(
        domain="hello.test", path="/api/", service="hello-web", answers={"2xx": ok, "5xx": failed}, in_flight=3,
        retries=1, replays=1, durations=(0, ok + failed, 0, 0),
    )  # fmt: skip
    quiet = RouteStats(domain="quiet.test", answers={"2xx": 1}, durations=(1, 0, 0, 0))
    services = {"hello-web": ServiceStats(connections={"reused": 1998, "opened": 2})}
    routers = {"host-a": RouterStats(clients=7, started=started)}
    return GridStats(
        routers=routers, clients=7, bounds=BOUNDS, services=services, routes={"a": busy, "b": quiet}, **more
    )


def test_an_interval() -> None:
    seen = interval(look(ok=100), look(ok=300, failed=20), 2.0)
    [rate] = seen.routes
    assert (rate.requests, rate.errors) == (110.0, 10.0)
    assert rate.p95 == pytest.approx(0.01 + 0.09 * 0.95)
    assert (seen.requests, seen.errors, seen.in_flight, seen.clients) == (110.0, 10.0, 3, 7)


def test_a_route_that_is_new_counts_from_nothing() -> None:
    before = GridStats(routers=look(ok=0).routers)
    assert interval(before, look(ok=100), 2.0).routes[0].requests == 50.0


def test_only_the_same_routers_are_compared() -> None:
    one = look(ok=1)
    assert comparable(one, look(ok=2))
    assert not comparable(one, look(ok=2, started=2.0))
    gone = GridStats(routers={"host-a": RouterStats(error="no answer")})
    assert not comparable(one, gone)


def test_the_table_of_stats() -> None:
    lines = show_stats.stats(look(ok=997, failed=3))
    assert re.split(r" {2,}", lines[0]) == [
        "ROUTE", "REQUESTS", "2XX", "3XX", "4XX", "5XX", "P50", "P95", "P99", "IN FLIGHT", "RETRIES", "REUSED"
    ]  # fmt: skip
    assert re.split(r" {2,}", lines[1]) == [
        "hello.test/api", "1000", "997", "0", "0", "3", "55 ms", "96 ms", "99 ms", "3", "2", "99.9 %"
    ]  # fmt: skip
    assert re.split(r" {2,}", lines[2])[0] == "quiet.test"
    assert lines[2].endswith("  -")
    assert show_stats.stats(GridStats(routers={"host-b": RouterStats(error="no answer")})) == [
        "no requests yet",
        "not counted: host-b (no answer)",
    ]


def test_tcp_routes_have_a_table_of_their_own() -> None:
    port = TcpStats(port=3000, connections=12, in_flight=2, received=1500, sent=20, problem="taken")
    lines = show_stats.stats(GridStats(tcp={"t": port}))
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["TCP", "CONNECTIONS", "OPEN", "REFUSED", "RETRIES", "RECEIVED", "SENT"],
        ["port 3000", "12", "2", "0", "0", "1.5 kB", "20 B", "taken"],
    ]
    assert show_stats.stats(GridStats(tcp={"t": port}, routes={"r": RouteStats(domain="a.test")}))[2:] == ["", *lines]


def test_the_table_of_top_has_a_sum_and_an_end() -> None:
    seen = interval(look(ok=100), look(ok=119, failed=1), 2.0)
    head, names, row = show_stats.top(seen)
    assert head == "=== 10 requests/s, 0.5 errors/s, 3 in flight, 7 clients, over 2.0 s"
    assert re.split(r" {2,}", names) == ["ROUTE", "REQUESTS/S", "ERRORS/S", "P95", "IN FLIGHT", "QUEUED"]
    assert re.split(r" {2,}", row) == ["hello.test/api", "10", "0.5", "96 ms", "3", "0"]
    assert show_stats.top(seen, rows=0)[1:] == ["and 1 route more"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.00042, "0.4 ms"), (0.0099, "9.9 ms"), (0.00999, "10 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s")],
)
def test_durations(value: float | None, shown: str) -> None:
    assert show_stats.seconds(value) == shown


def answer(ok: int, started: float = 1.0) -> dict[str, Any]:
    """As docs/api.md has it."""
    return {
        "routers": {
            "host-a": {"clients": 1, "refused": 0, "revision": 9, "started": started},
            "host-b": {"error": "http://10.0.0.2:1111 does not answer: nothing within 2 s"},
        },
        "clients": 1, "refused": 0, "bounds": [0.01, 0.1],
        "services": {"hello-web": {"answers": {"2xx": ok}, "connections": {"reused": ok, "opened": 0}}},
        "routes": {"a": {
            "domain": "hello.test", "path": "/", "app": "hello", "service": "hello-web",
            "answers": {"2xx": ok}, "in_flight": 0, "queued": 0, "gone": 0, "retries": 0, "replays": 0,
            "durations": [ok, 0, 0], "seconds": {"sum": 1.0, "p50": 0.005, "p95": 0.009, "p99": 0.0099},
        }},
    }  # fmt: skip


async def test_stats_of_an_app_and_of_the_grid(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    grid.counted = [answer(200)]
    done = await flynn("route", "stats")
    head, row, silent = done.out.splitlines()
    assert head.startswith("ROUTE")
    assert re.split(r" {2,}", row)[:3] == ["hello.test", "200", "200"]
    assert row.endswith("100 %")
    assert silent == "not counted: host-b (http://10.0.0.2:1111 does not answer: nothing within 2 s)"
    assert json.loads((await flynn("route", "stats", "--grid", "--all", "--json")).out)["routes"]["a"]["app"] == "hello"
    nameless = Shell(tmp_path, {"FLYNN_URL": grid.url, "FLYNN_TOKEN": TOKEN})
    assert (await nameless("route", "stats")).code == 0
    assert [path for _, path, _ in grid.asked] == [
        "/v1/routers/stats?app=hello", "/v1/routers/stats?all=true", "/v1/routers/stats"
    ]  # fmt: skip


async def test_top_prints_one_interval_where_there_is_no_terminal(grid: FakeGrid, flynn: Shell) -> None:
    grid.counted = [answer(100), answer(300)]
    done = await flynn("route", "top", "-n", "0.2")
    assert done.code == 0
    head, _, row, silent = done.out.splitlines()
    assert re.fullmatch(r"=== \d+ requests/s, 0 in flight, 1 client, over 0\.\d s", head)
    assert row.startswith("hello.test")
    assert silent.startswith("not counted: host-b")
    grid.counted = [answer(100), answer(300, started=2.0)]
    assert "ask again" in (await flynn("route", "top", "-n", "0.2")).err


async def test_a_node_without_a_router_says_so(flynn: Shell) -> None:
    done = await flynn("route", "stats")
    assert done.code == 1
    assert "runs no router; name one that does with --url" in done.err


async def test_top_on_a_terminal_goes_on_until_ctrl_c(grid: FakeGrid, tmp_path: Path) -> None:
    grid.counted = [answer(number) for number in range(0, 100000, 100)]
    terminal, its = os.openpty()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
    told = {"FLYNN_URL": grid.url, "FLYNN_TOKEN": TOKEN, "FLYNN_DATA": str(tmp_path), "TERM": "xterm", "COLUMNS": "100"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flynn", "route", "top", "-n", "0.2", stdin=its, stdout=its, stderr=its, env=kept | told
    )
    os.close(its)
    seen = b""
    async with asyncio.timeout(30):
        while seen.count(b"requests/s, ") < 3:
            seen += await asyncio.to_thread(os.read, terminal, 65536)
        process.send_signal(signal.SIGINT)
        code = await process.wait()
    rest = await asyncio.to_thread(os.read, terminal, 65536)
    os.close(terminal)
    assert code == 130
    assert b"hello.test" in seen
    assert b"\x1b[?25h" in rest
    assert b"Traceback" not in seen + rest

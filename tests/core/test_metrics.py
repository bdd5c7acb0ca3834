"""What a node tells Prometheus: the parts of its bricks, and its own."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flynn.core.exposition import CONTENT_TYPE, Sample, family, labels
from flynn.core.lag import LoopLag
from flynn.core.metrics import Metrics, Part
from flynn.core.own_metrics import own
from tests.harness import TestNode, open_node


def samples(text: str) -> dict[str, float]:
    """By name, and its labels in the order of their names."""
    found = {}
    for told in text_string_to_metric_families(text):
        for one in told.samples:
            found[" ".join([one.name, *(f"{k}={v}" for k, v in sorted(one.labels.items()))])] = one.value
    return found


def part(*pieces: bytes, fails: bool = False) -> Part:
    async def told() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece
        if fails:
            raise RuntimeError("no such file")

    return told


async def scraped(node: TestNode) -> str:
    async with node.http.get(node.url + "/metrics") as response:
        assert response.headers["Content-Type"] == CONTENT_TYPE
        return await response.text()


def test_a_family_is_its_lines_under_what_it_is() -> None:
    rows = [Sample(labels(app='a"b\\c\nd', type="web"), 1.5), Sample("", 10**15)]
    text = family("flynn_x_total", "counter", "What it is.", rows)
    assert text.startswith("# HELP flynn_x_total What it is.\n# TYPE flynn_x_total counter\n")
    assert samples(text) == {'flynn_x_total app=a"b\\c\nd type=web': 1.5, "flynn_x_total": 1e15}
    assert family("flynn_y", "gauge", "Nobody has one.", []) == ""


async def test_all_parts_that_are_offered_are_told(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        assert await scraped(node) == ""
        with node.metrics.offering("a", part(b"a 1\n", b"b 2\n")), node.metrics.offering("b", part(b"c 3\n")):
            assert await scraped(node) == "a 1\nb 2\nc 3\n"
            async with aiohttp.ClientSession() as stranger, stranger.get(node.url + "/metrics") as response:
                assert response.status == 401
        assert await scraped(node) == ""


async def test_a_part_that_fails_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_node(tmp_path) as node:
        with node.metrics.offering("a", part(b"a 1\n", fails=True)), node.metrics.offering("b", part(b"b 2\n")):
            assert await scraped(node) == "a 1\nb 2\n"
    assert "the metrics of a cannot be told" in caplog.text


def test_a_name_is_offered_once() -> None:
    metrics = Metrics()
    with metrics.offering("a", part()):
        with pytest.raises(ValueError, match="metrics of a"), metrics.offering("a", part()):
            pass
    with metrics.offering("a", part()):
        pass


async def test_a_daemon_tells_of_its_process_and_its_loop() -> None:
    lag = LoopLag()
    lag.samples.extend([1.0, 2.0, 40.0])
    before = asyncio.get_running_loop().time()
    found = samples("".join([piece.decode() async for piece in own(lag)()]))
    assert found["flynn_loop_lag_seconds of=median"] == 0.002
    assert found["flynn_loop_lag_seconds of=worst"] == 0.04
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert found["process_open_fds"] > 3
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_start_time_seconds"] > before

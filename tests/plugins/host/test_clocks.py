"""The machine's clock is set while jobs run: what lasts a while lasts as long as it shall."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.plugins.host.rig import HOST, Rig, open_rig

HOUR = 3600.0


class Clock:
    """The time of day, as somebody sets it."""

    def __init__(self) -> None:
        self.off = 0.0

    def __call__(self) -> float:
        return time.time() + self.off


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def rig(clock: Clock, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host without its agent, whose clock is set by the test."""
    async with open_rig(tmp_path / "data", backend="process") as rig:
        rig.node.clock = clock
        yield rig


async def test_a_pause_is_as_long_whatever_the_clock_says(rig: Rig, clock: Clock) -> None:
    """Also when the daemon is started anew meanwhile."""
    await rig.assign(rig.job("worker-1", "exit 3"))
    async with rig.running():
        await rig.state("worker-1", lambda s: s.restarts == 6)
        began = time.monotonic()
        clock.off += HOUR
        await asyncio.sleep(0.5)
    clock.off -= 2 * HOUR
    async with rig.running():
        await asyncio.sleep(0.5)
        clock.off += 4 * HOUR
        assert rig.node.mirror.facts.states["host-a/worker-1"].restarts == 6
        await rig.state("worker-1", lambda s: s.restarts == 7)
    assert 8 < time.monotonic() - began < 60, "ten seconds, and not an hour more or less"


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_no_failure_is_forgotten_because_the_clock_is_set(rig: Rig, clock: Clock, off: float) -> None:
    await rig.assign(rig.job("worker-1", "exec sleep 60"))
    async with rig.running():
        for restarts in (1, 2):
            up = await rig.state("worker-1", "up")
            clock.off += off
            os.kill(up.pid, signal.SIGKILL)
            await rig.state("worker-1", lambda s, wanted=restarts: s.restarts == wanted)  # type: ignore[misc]


async def test_it_is_stopped_and_killed_in_time_though_the_clock_goes_back(rig: Rig, clock: Clock) -> None:
    job = rig.job("worker-1", "trap '' TERM; echo deaf; while :; do sleep 0.05; done", stop_timeout=1)
    await rig.assign(job)
    async with rig.running():
        await rig.state("worker-1", "up")
        await rig.until_printed("worker-1", "deaf")
        began = time.monotonic()
        await rig.assign(job, stop=True)
        await rig.state("worker-1", "stopping")
        clock.off -= HOUR
        down = await rig.state("worker-1", "down")
    assert down.reason == "stopped; killed, as it did not end within 1 s"
    assert 0.9 < time.monotonic() - began < 30


async def test_a_line_without_an_end_waits_no_longer_though_the_clock_goes_back(rig: Rig, clock: Clock) -> None:
    await rig.assign(rig.job("worker-1", "printf prompt; exec sleep 60"))
    async with rig.running():
        stdout = rig.dir("worker-1") / "stdout"
        async with asyncio.timeout(20):
            while not stdout.exists() or not stdout.stat().st_size:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)  # It is seen, and waits for its end.
        clock.off -= HOUR
        async with asyncio.timeout(20):
            while rig.kept_lines("worker-1") != ["prompt"]:
                await asyncio.sleep(0.05)


async def test_a_log_is_in_the_order_of_what_was_printed_whichever_way_the_clock_is_set(rig: Rig, clock: Clock) -> None:
    """Asked for, and followed."""
    command = "n=0; while :; do echo $n; n=$((n+1)); sleep 0.01; done"
    await rig.assign(rig.job("worker-1", command))
    async with rig.running():
        url = f"{rig.node.url}/v1/hosts/{HOST}/log"
        params = {"follow": "true", "n": "0", "job": "worker-1", "stream": "stdout"}
        async with rig.node.http.get(url, params=params) as following, asyncio.timeout(20):
            followed: list[int] = []
            for off in (0.0, -2 * HOUR, 4 * HOUR, -HOUR):
                clock.off += off
                goal = len(followed) + 30
                while len(followed) < goal:
                    followed.append(int(json.loads(await following.content.readline())["line"]))
        assert followed == list(range(followed[0], followed[0] + len(followed)))
        lines = await rig.log(job="worker-1", n="10000", stream="stdout")
        assert [int(line["line"]) for line in lines] == list(range(len(lines)))
        times = [line["time"] for line in lines]
        assert max(times) - min(times) > 3 * HOUR, "each says when it was, by the clock of then"

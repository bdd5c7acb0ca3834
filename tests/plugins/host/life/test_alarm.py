"""An alarm that rings once for each time that it is set."""

import asyncio
import resource
import time

import pytest

from flynn.plugins.host.life import alarm
from flynn.plugins.host.life.alarm import Alarm


@pytest.fixture(params=["the kernel's", "the loop's"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "the loop's":
        monkeypatch.setattr(alarm, "_LIBRARY", None)
    return str(request.param)


async def test_it_rings_once_for_each_time_and_not_before(kind: str) -> None:
    rung = asyncio.Event()
    one = Alarm(rung.set)
    for seconds in (0.0, 0.0003, 0.02, 1e-12):
        rung.clear()
        begun = time.monotonic()
        one.set(seconds)
        await asyncio.wait_for(rung.wait(), 10)
        assert time.monotonic() - begun >= seconds * 0.9 - 0.001  # The loop's clock has whole milliseconds.
    one.close()


async def test_who_has_closed_it_hears_nothing(kind: str) -> None:
    rung: list[str] = []
    done = asyncio.Event()
    one, other = Alarm(lambda: rung.append("one")), Alarm(done.set)
    one.set(0.001)
    one.close()
    other.set(0.02)
    await asyncio.wait_for(done.wait(), 10)
    other.close()
    assert not rung


async def test_without_room_for_a_file_the_loops_timers_serve() -> None:
    rung = asyncio.Event()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        one = Alarm(rung.set)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    one.set(0.0003)
    await asyncio.wait_for(rung.wait(), 10)
    one.close()


async def test_it_may_be_set_again_as_it_rings(kind: str) -> None:
    count, done = 0, asyncio.Event()

    def ring() -> None:
        nonlocal count
        count += 1
        if count == 20:
            done.set()
        else:
            one.set(0.0002)

    one = Alarm(ring)
    ring()
    await asyncio.wait_for(done.wait(), 10)
    one.close()
    assert count == 20

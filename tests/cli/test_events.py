"""events, and ps --at: against a grid that answers as docs/api.md says."""

import asyncio
import json
import signal
import time

import pytest

from flynn.cli.jobs import at_when
from flynn.core.errors import Invalid
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

EVENT = {
    "id": 7, "time": T0 + 0.123, "kind": "job", "name": "hello-web-1", "app": "hello", "what": "up",
    "text": "job hello-web-1 is up on host-a after 0.4 s", "data": {}, "before": {},
}  # fmt: skip


async def test_events_are_sentences(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "lost", "after": 3, "count": 3}, EVENT, {"kind": "position", "id": 7}]
    done = await flynn("events", "-n", "2", "-k", "job,host", "-a", "hello", "--since", "10m")
    assert done.out.splitlines() == [
        "3 events of before are not known any more",
        "2026-11-18T11:06:40.123+00:00 job: job hello-web-1 is up on host-a after 0.4 s",
    ]
    assert grid.asked == [("GET", "/v1/events?app=hello&kind=job,host&since=10m&n=2", None)]
    grid.lines = [EVENT]
    assert json.loads((await flynn("events", "--json")).out) == EVENT
    assert grid.asked[-1][1] == "/v1/events"


async def test_following_goes_on_after_the_last_event(grid: FakeGrid, flynn: Shell) -> None:
    """The fake ends each answer: the follower asks again until it is stopped."""
    grid.lines = [EVENT]
    follower = await flynn.spawn("events", "-f")
    assert follower.stdout
    lines = [await asyncio.wait_for(follower.stdout.readline(), 20) for _ in range(2)]
    follower.send_signal(signal.SIGINT)
    await asyncio.wait_for(follower.communicate(), 20)
    assert lines[0] == lines[1]
    assert [path for _, path, _ in grid.asked[:2]] == ["/v1/events?follow=true", "/v1/events?after=7&n=&follow=true"]


async def test_the_jobs_of_before(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = [{"id": "hello-web-1", "type": "web", "state": "up", "since": T0, "host": "host-a", "release": 3}]
    done = await flynn("ps", "--at", f"{T0 + 60:.0f}", "-a", "hello")
    assert [line.split() for line in done.out.splitlines() if line] == [
        ["hello", "at", "2026-11-18", "11:07:40", "UTC"],
        ["===", "web", "(1)"],
        ["hello-web-1", "up", "60", "s", "v3", "host-a"],
    ]
    assert grid.asked[-1][1] == f"/v1/apps/hello/jobs?at={T0 + 60:.6f}"


def test_a_time_of_day_is_the_last_one() -> None:
    now = time.mktime((2026, 11, 1, 14, 0, 0, 0, 0, -1))
    assert at_when("13:59", now) == now - 60
    assert at_when("14:00:01", now) == time.mktime((2026, 10, 31, 14, 0, 1, 0, 0, -1))
    assert at_when("10m", now) == now - 600
    with pytest.raises(Invalid, match="is no time"):
        at_when("25:00", now)

"""ps --follow: against a grid that answers as docs/api.md says, and line by line."""

import asyncio
import json
import signal
from typing import Any

from flynn.cli.follow_jobs import Seen
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell


def job(id: str = "hello-web-1", **more: Any) -> dict[str, Any]:
    up = {"id": id, "type": "web", "state": "up", "since": T0, "created": T0, "host": "host-a", "release": 3}
    return {**up, **more}


def items(*jobs: dict[str, Any], revision: int = 7) -> dict[str, Any]:
    return {"kind": "list", "revision": revision, "items": [*jobs]}


def item(job: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "item", "id": job["id"], "item": job}


def test_each_change_is_a_line() -> None:
    seen = Seen()
    assert [line.split() for line in seen.told(items(job()), T0 + 9)] == [
        ["===", "web", "(1)"],
        ["hello-web-1", "up", "9", "s", "v3", "host-a"],
    ]
    waits = job("hello-web-2", state="queued", host="", waiting=True, reason="no host is up")
    told = [
        *seen.told(item(waits), T0),
        *seen.told(item(waits), T0),
        *seen.told(item(job("hello-web-2", state="starting")), T0),
        *seen.told(item(job("hello-web-2", state="starting", pid=9, port=4000)), T0),
        *seen.told(item(job("hello-web-2", restarts=2, moving="leaves host-a, which is drained")), T0),
        *seen.told({"kind": "current", "revision": 8}, T0),
        *seen.told({"kind": "beat", "revision": 9}, T0),
        *seen.told({"kind": "gone", "id": "hello-web-1"}, T0),
        *seen.told({"kind": "gone", "id": "never-there"}, T0),
    ]
    assert [line.partition(" ==> ")[2] for line in told] == [
        "hello-web-2 queued v3, no host is up",
        "hello-web-2 starting on host-a v3",
        "hello-web-2 up on host-a v3, leaves host-a, which is drained, restarted 2 times",
        "hello-web-1 is gone",
    ]


def test_a_list_that_comes_anew_tells_only_what_is_not_as_it_was() -> None:
    """As it does after a break that was too long for the node to remember."""
    seen = Seen()
    seen.told(items(job(), job("hello-web-2")), T0)
    told = seen.told(items(job(), job("hello-web-3")), T0)
    assert [line.partition(" ==> ")[2] for line in told] == ["hello-web-2 is gone", "hello-web-3 up on host-a v3"]


def test_an_app_without_jobs_says_so() -> None:
    assert Seen().told(items(), T0) == ["no jobs"]


async def test_a_stream_that_breaks_goes_on_where_it_was(grid: FakeGrid, flynn: Shell) -> None:
    """The fake ends each answer: the follower asks again until it is stopped."""
    grid.lines = [items(job()), item(job(state="stopping")), {"kind": "current", "revision": 9}]
    follower = await flynn.spawn("ps", "-f", "--all", "-a", "hello")
    assert follower.stdout
    lines = [await asyncio.wait_for(follower.stdout.readline(), 20) for _ in range(5)]
    follower.send_signal(signal.SIGINT)
    await asyncio.wait_for(follower.communicate(), 20)
    assert b"=== web (1)" in lines[0]
    changed = [line.partition(b" ==> ")[2] for line in lines[2:]]
    assert changed == [b"hello-web-1 stopping on host-a v3\n", b"hello-web-1 up on host-a v3\n", changed[0]]
    asked = [path for _, path, _ in grid.asked[:2]]
    jobs = "/v1/apps/hello/jobs?watch=true&all=true"
    assert asked == [jobs, f"{jobs}&after=9"]


async def test_an_app_that_is_deleted_ends_it(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [items(job()), {"kind": "done", "ok": False, "message": "there is no app 'hello'"}]
    done = await flynn("ps", "-f", "--json", "-a", "hello")
    assert [json.loads(line)["kind"] for line in done.out.splitlines()] == ["list", "done"]
    assert (done.code, "there is no app 'hello'" in done.err) == (1, True)
    assert (await flynn("ps", "-f", "--at", "10m", "-a", "hello")).code == 2

"""A daemon that dies and returns: the same processes, whole logs, serving again (law 2)."""

import asyncio
import json
from pathlib import Path

from tests.cluster import apps
from tests.cluster.grid import Grid, Load, open_grid
from tests.etcd import running_etcd

COUNTER = """
import time, itertools
for number in itertools.count():
    print("line", number, flush=True)
    time.sleep(0.01)
"""


async def test_a_killed_daemon_finds_its_jobs_again(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("create", "count")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    counting = apps.make(tmp_path / "count", Procfile="worker: exec python3 count.py\n", count__py=COUNTER)
    await grid.ok("deploy", str(counting), "-a", "count")
    await grid.ok("scale", "-a", "hello", "web=3")
    before = {job["id"]: job["pid"] for app in ("hello", "count") for job in await grid.jobs(app, "up")}
    assert len(before) == 4
    assert all(before.values())

    await grid.kill()
    await grid.start()

    async def serving() -> bool:
        return (await grid.get("hello"))[0] == 200

    await grid.until(serving, 15, "hello serves again")

    async def all_up() -> bool:
        return len([*await grid.jobs("hello", "up"), *await grid.jobs("count", "up")]) == 4

    await grid.until(all_up, 15, "all jobs are up again")
    after = {job["id"]: job["pid"] for app in ("hello", "count") for job in await grid.jobs(app, "up")}
    assert after == before

    said = await grid.ok("log", "-a", "count", "-n", "10000", "--json")
    lines = [line for line in map(_line, said.out.splitlines()) if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert len(lines) > 100


def _line(text: str) -> str:
    return str(json.loads(text)["line"])


async def test_a_stopped_daemon_leaves_its_jobs_running(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    (before,) = await grid.jobs("hello", "up")
    assert await grid.stop() == 0
    await grid.start()

    async def up() -> bool:
        return bool(await grid.jobs("hello", "up"))

    await grid.until(up, 15, "the job is up again")
    (after,) = await grid.jobs("hello", "up")
    assert (after["id"], after["pid"]) == (before["id"], before["pid"])


async def test_the_loss_of_etcd_is_not_noticed(any_etcd: str, tmp_path: Path) -> None:
    """etcd is stopped for 10 s: no request through the router fails, and no job restarts when it returns (law 1)."""
    async with running_etcd(any_etcd, tmp_path / "etcd") as etcd, open_grid("--etcd", *etcd.urls) as grid:
        (server,) = etcd.members
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        await grid.ok("scale", "-a", "hello", "web=2")
        before = {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")}
        async with Load(grid, "hello", clients=4).running() as load:
            await server.kill()
            await asyncio.sleep(10)
            during = load.count
            refused = await grid.flynn("env", "set", "-a", "hello", "K=V")
            await server.start()

            async def writable() -> bool:
                return (await grid.flynn("scale", "-a", "hello", "web=2")).code == 0

            await grid.until(writable, 30, "the grid takes changes again")
            await asyncio.sleep(2)
        assert load.failures == []
        assert during > 100
        assert refused.code == 1
        assert "etcd" in refused.err
        assert {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")} == before

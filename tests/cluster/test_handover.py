"""One daemon takes over from another while it is asked: no request is refused, reset or lost."""

import asyncio
import os
import signal
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import psutil

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.cluster.keepalive import Strict
from tests.cluster.talks import HOST, UPGRADE, talking
from tests.etcd import running_etcd
from tests.ports import free_port


async def deploy(grid: Grid, tmp_path: Path, count: int = 1) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.talkative(tmp_path / "hello")), "-a", "hello")
    if count > 1:
        await grid.ok("scale", "-a", "hello", f"web={count}")


async def ends(process: "subprocess.Popen[bytes]", limit: float = 30) -> int:
    return await asyncio.to_thread(process.wait, limit)


async def until_it_holds(grid: Grid, process: "subprocess.Popen[bytes]") -> None:
    async def holds() -> bool:
        return grid.holder() == process.pid

    await grid.until(holds, 30, "it has the data directory")


async def test_hand_overs_in_a_row_fail_no_request(grid: Grid, tmp_path: Path) -> None:
    """Ten over SQLite; over etcd, of which a hand-over asks no more, as many as show that it goes on."""
    await deploy(grid, tmp_path, 2)
    before = {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")}
    await grid.ok("route", "add", "tcp", "-a", "hello", "--port", str(port := free_port()))
    loads = [
        keeping := Strict(grid.http_port, HOST),
        Strict(grid.http_port, HOST, clients=4, pause=0),
        Strict(grid.http_port, HOST, clients=4, once=True),
        Strict(port, HOST, clients=2, once=True),
    ]
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(talking(grid, "/")) for _ in range(150)]
        for talk in idle:
            assert (await talk.reply()).status == 200
        for load in loads:
            await stack.enter_async_context(load.running())
        for _ in range(3 if "--etcd" in grid.settings else 10):
            former = await grid.take_over()
            assert await ends(former) == 0, grid.tail()
        for talk in idle:
            assert (await talk.ask(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())).status == 200
    assert [failure for load in loads for failure in load.failures] == []
    assert min(load.count for load in loads) > 300
    assert keeping.opened < 3 * keeping.clients, "clients that are idle for a moment keep their connection"
    assert {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")} == before
    await grid.ok("scale", "-a", "hello", "web=1")


async def test_what_is_under_way_ends_where_it_began(grid: Grid, tmp_path: Path) -> None:
    """A late answer and a WebSocket stay with the earlier daemon; an instance that they are on drains with them."""
    await deploy(grid, tmp_path)
    (job,) = await grid.jobs("hello", "up")
    async with talking(grid, "/late") as late, talking(grid, "/ws", *UPGRADE) as ws:
        assert (await ws.reply()).status == 101
        former = await grid.take_over("--set", "host.drain_timeout=60")
        await ws.send(b"\x81\x02hi")
        assert await ws.reader.readexactly(4) == b"\x81\x02hi"
        stopping = asyncio.create_task(grid.ok("scale", "-a", "hello", "web=0"))
        await grid.until(lambda: _is_stopping(grid), 20, "the instance is drained")
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{job['port']}/now") as response:
            assert response.status == 200
        answer = await late.reply()
        assert answer.status == 200
        if answer.value("Connection") != "close":  # The earlier one has not told it yet: then its client is passed on.
            assert (await late.ask(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())).status in (200, 503)
        assert await _is_stopping(grid), "its WebSocket is still open, so it may not stop"
        assert psutil.pid_exists(job["pid"])
        await ws.send(b"\x81\x02ho")
        assert await ws.reader.readexactly(4) == b"\x81\x02ho"
        assert former.poll() is None
        await ws.close()
        await stopping

    async def stopped() -> bool:
        return not await grid.jobs("hello", "stopping")

    await grid.until(stopped, 15, "the job stops once nothing is in flight")
    assert await ends(former) == 0
    assert "not done with it" not in (await grid.ok("log", "-a", "hello", "-n", "100")).out


async def _is_stopping(grid: Grid) -> bool:
    return [job["state"] for job in await grid.jobs("hello")] == ["stopping"]


CANNOT_START = {
    ("--name", "other"): "does not hand over: it is ",
    ("--set", "host.backend=bogus"): "host.backend = 'bogus' is unknown",
    ("--set", "router.trusted=nonsense"): "router.trusted is no list of networks",
    ("--set", "bogus=1"): "unknown setting",
}


async def test_a_daemon_that_cannot_start_leaves_the_other_as_it_was(tmp_path: Path) -> None:
    async with open_grid() as grid:
        await deploy(grid, tmp_path)
        async with Strict(grid.http_port, HOST).running() as load:
            for count, (settings, told) in enumerate(CANNOT_START.items(), 2):
                assert await ends(grid.launch("--takeover", *settings)) == 1
                await grid.until(grid.is_healthy, 20, f"the daemon goes on after {settings}")
                assert grid.process is not None
                assert grid.holder() == grid.process.pid
                assert told in grid.tail()
                await grid.ok("scale", "-a", "hello", f"web={2 - count % 2}")
            assert await ends(await grid.take_over()) == 0
        assert load.failures == []
        assert load.count > 20


async def test_a_daemon_killed_before_it_is_up_leaves_the_other_as_it_was(grid: Grid, tmp_path: Path) -> None:
    await deploy(grid, tmp_path)
    async with Strict(grid.http_port, HOST).running() as load:
        for _ in range(3):
            killed = grid.launch("--takeover")
            await until_it_holds(grid, killed)
            killed.kill()
            await ends(killed)
            await grid.until(grid.is_healthy, 20, "the daemon before goes on")
            assert grid.process is not None
            assert grid.holder() == grid.process.pid
        await grid.ok("scale", "-a", "hello", "web=2")
        assert await ends(await grid.take_over()) == 0
    assert load.failures == []


async def test_a_daemon_stopped_while_it_hands_over_leaves_all_to_the_next(tmp_path: Path) -> None:
    async with open_grid() as grid:
        await deploy(grid, tmp_path)
        former, grid.process = grid.process, grid.launch("--takeover")
        assert former is not None
        grid.former.append(former)
        await until_it_holds(grid, grid.process)
        former.send_signal(signal.SIGTERM)
        assert await ends(former) == 0
        await grid.until(grid.is_healthy, 30, "the next one is up")
        assert (await grid.get("hello"))[0] == 200


async def test_with_no_daemon_to_take_over_from_it_just_starts(tmp_path: Path) -> None:
    async with open_grid("--takeover") as grid:
        await grid.kill()  # The socket that it leaves is nobody's.
        await grid.start()
        assert await grid.stop() == 0


async def test_jobs_inherit_no_socket(tmp_path: Path) -> None:
    async with open_grid() as grid:
        await deploy(grid, tmp_path)
        assert await ends(await grid.take_over()) == 0
        await grid.ok("scale", "-a", "hello", "web=2")
        jobs = grid.processes()
        assert len(jobs) >= 2
        for job in jobs:
            begun = "0" if "bwrap" in job.cmdline()[0] else ""  # By this the daemon has heard that the job began.
            files = [os.readlink(path) for path in Path(f"/proc/{job.pid}/fd").iterdir() if path.name != begun]
            own = 1 if job.cmdline()[-1] == "server.py" else 0
            assert len([path for path in files if path.startswith("socket:")]) <= own, (job.cmdline(), files)


async def test_two_daemons_of_one_machine_share_a_port(any_etcd: str, tmp_path: Path) -> None:
    share = ("--set", "router.share_port=true")
    async with (
        running_etcd(any_etcd, tmp_path / "etcd") as etcd,
        open_grid("--etcd", *etcd.urls, *share) as grid,
    ):
        await deploy(grid, tmp_path)
        other = Grid(tmp_path / "other", ("--etcd", *etcd.urls, "--name", "second", "--bricks", "router", *share))
        other.http_port = grid.http_port
        alone = Grid(tmp_path / "third", ("--etcd", *etcd.urls, "--name", "third", "--bricks", "router"))
        alone.http_port = grid.http_port
        refused = alone.launch()
        assert await ends(refused) == 1
        assert f"port {grid.http_port}: Address already in use; choose another with --http-port" in alone.tail()
        await other.start()
        try:
            async with Strict(grid.http_port, HOST, clients=32).running() as load:
                await asyncio.sleep(1)
                assert await ends(await other.take_over()) == 0
                await grid.ok("scale", "-a", "hello", "web=2")
            assert load.failures == []
            for one in (grid, other):
                assert await one.answered() > 0
        finally:
            await other.clean()

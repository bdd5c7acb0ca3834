"""A daemon of two is stopped: what is new goes to the other at once, what runs there runs on and has no twin."""

from pathlib import Path

import psutil

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.etcd import running_etcd


async def test_a_stopped_daemon_gets_no_new_job_and_keeps_those_it_has(any_etcd: str, tmp_path: Path) -> None:
    source = apps.make(tmp_path / "hello", Procfile="worker: exec sleep 1000\n")
    async with running_etcd(any_etcd, tmp_path / "etcd") as etcd:
        settings = ["--etcd", *etcd.urls, "--set", "host.backend=process", "--set", "controller.rebalance=0"]
        async with open_grid(*settings, "--name", "a") as a, open_grid(*settings, "--name", "b") as b:
            await a.ok("create", "hello")
            await a.ok("deploy", str(source), "-a", "hello")
            await a.ok("scale", "worker=2", "-a", "hello")
            before = await where(b)
            assert {host for host, _ in before.values()} == {"a", "b"}
            assert await a.stop() == 0, a.tail()
            assert "a takes no new job: its daemon was stopped" in (await b.ok("host")).out
            await b.ok("scale", "worker=5", "-a", "hello")
            after = await where(b)
            assert before.items() <= after.items()
            assert [host for id, (host, _) in after.items() if id not in before] == ["b"] * 3
            assert all(psutil.pid_exists(pid) for _, pid in before.values())
            await a.start()

            async def back() -> bool:
                return "takes no new job" not in (await a.ok("host")).out

            await a.until(back, 20, "its host takes jobs again")
            assert await where(a) == after
            assert len(await a.jobs("hello")) == len(after)


async def where(grid: Grid) -> dict[str, tuple[str, int]]:
    """The jobs that are up: the host and the process of each."""
    return {job["id"]: (job["host"], job["pid"]) for job in await grid.jobs("hello", "up")}

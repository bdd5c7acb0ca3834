"""A grid of one node moves into etcd, whole, while its jobs run on."""

from pathlib import Path

from tests.cluster import apps
from tests.cluster.grid import open_grid
from tests.etcd import running_etcd


async def test_a_grid_moves_into_etcd(any_etcd: str, tmp_path: Path) -> None:
    async with running_etcd(any_etcd, tmp_path / "etcd") as etcd, open_grid() as grid:
        await grid.ok("create", "hello")
        await grid.ok("env", "set", "-a", "hello", "GREETING=moved")
        await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        await grid.ok("scale", "-a", "hello", "web=2")
        before = {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")}
        urls = ",".join(etcd.urls)
        refused = await grid.flynn("cluster", "move", "--etcd", urls)
        assert refused.code == 1
        assert "stop the daemon first" in refused.err
        await grid.stop()
        moved = await grid.ok("cluster", "move", "--etcd", urls)
        assert "flynn daemon --etcd" in moved.out
        again = await grid.flynn(*grid.daemon_command()[3:], limit=30)
        assert (again.code, "moved to etcd" in again.err) == (1, True)

        grid.settings = ("--etcd", urls)
        await grid.start()

        async def serving() -> bool:
            return (await grid.get("hello"))[0] == 200

        await grid.until(serving, 15, "hello serves again")

        async def all_up() -> bool:
            return len(await grid.jobs("hello", "up")) == 2

        await grid.until(all_up, 15, "all jobs are up again")
        assert {job["id"]: job["pid"] for job in await grid.jobs("hello", "up")} == before
        assert (await grid.get("hello"))[1].startswith("moved from")
        assert len((await grid.ok("release", "-a", "hello", "--json")).json) == 1
        await grid.ok("scale", "-a", "hello", "web=3")

"""Changes under load lose no request (law 4)."""

from pathlib import Path

from tests.cluster import apps
from tests.cluster.grid import Grid, Load


async def test_a_deploy_under_load_fails_no_request(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    await grid.ok("scale", "-a", "hello", "web=2")
    async with Load(grid, "hello").running() as load:
        await grid.ok("env", "set", "-a", "hello", "GREETING=good morning")
        await grid.ok("deploy", str(tmp_path / "hello"), "-a", "hello")
        await grid.ok("release", "rollback", "v1", "-a", "hello")
    assert load.failures == []
    assert load.count > 100
    greetings = {answer.split(" from ")[0] for answer in load.answers}
    assert greetings == {"hello", "good morning"}
    assert len(load.answers) == 6, "the same source once more is the same slug, of which nothing is started anew"


async def test_scaling_under_load_fails_no_request(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    async with Load(grid, "hello").running() as load:
        for count in (5, 2, 4, 1):
            await grid.ok("scale", "-a", "hello", f"web={count}")
        (job,) = await grid.jobs("hello", "up")
        await grid.ok("scale", "-a", "hello", "web=2")
        await grid.ok("kill", "-a", "hello", job["id"])

        async def replaced() -> bool:
            up = {one["id"] for one in await grid.jobs("hello", "up")}
            return len(up) == 2 and job["id"] not in up

        await grid.until(replaced, 30, "the killed job is replaced")
    assert load.failures == []
    assert load.count > 100

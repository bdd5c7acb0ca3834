"""WebSockets through a whole grid."""

import asyncio
from pathlib import Path

from tests.cluster import apps
from tests.cluster.grid import Load, open_grid
from tests.cluster.talks import UPGRADE, talking


async def test_a_websocket_of_the_old_release_ends_with_1001_in_its_time(tmp_path: Path) -> None:
    """The deploy does not wait for it longer than that, and those who come again reach the new release."""
    async with open_grid("--set", "router.tunnel_leave_timeout=1", "--set", "router.sweep=0.1") as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(apps.talkative(tmp_path / "hello")), "-a", "hello")
        async with talking(grid, "/ws", *UPGRADE) as ws, Load(grid, "hello").running() as load:
            assert (await ws.reply()).status == 101
            await ws.send(b"\x81\x02hi")
            assert await ws.reader.readexactly(4) == b"\x81\x02hi"
            deploying = asyncio.create_task(grid.ok("env", "set", "-a", "hello", "GREETING=good morning"))
            async with asyncio.timeout(30):
                assert await ws.reader.read() == b"\x88\x02\x03\xe9"
            await deploying
            async with talking(grid, "/ws", *UPGRADE) as again:
                assert (await again.reply()).status == 101
        assert load.failures == []
        assert "not done with it" not in (await grid.ok("log", "-a", "hello", "-n", "100")).out

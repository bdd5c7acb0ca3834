"""A grid whose host runs everything as containers on networks of their own, from the build to the deletion."""

import asyncio
import json

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.docker import Engine

pytestmark = pytest.mark.heavy


async def test_a_whole_app_on_a_network_of_its_own(walled: Engine) -> None:
    async with open_grid("--set", "host.backend=docker") as grid:
        (host,) = (await grid.ok("host", "--json")).json
        assert (host["networks"], host.get("no_own", "")) == (["host", "own", "none"], "")
        own = json.dumps({"processes": {"web": {"network": "own"}}})
        source = apps.make(grid.data.with_name("site"), flynn__json=own, index__html="one")
        await grid.ok("create", "site")
        await grid.ok("deploy", str(source), "-a", "site")
        await grid.ok("scale", "web=2", "-a", "site")
        assert await grid.get("site") == (200, "one")
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(_ask(grid))
            apps.make(source, index__html="two")
            await grid.ok("deploy", str(source), "-a", "site")
            await grid.ok("scale", "web=1", "-a", "site")
            asking.cancel()
        (before,) = await grid.jobs("site", "up")
        assert "eth0" in (await grid.ok("exec", "-a", "site", before["id"], "cat /proc/net/dev")).out
        await grid.kill()
        await grid.start()
        assert await grid.get("site") == (200, "two")
        (after,) = await grid.jobs("site", "up")
        assert (after["id"], after["pid"]) == (before["id"], before["pid"])
        await grid.ok("delete", "site", "--yes")
        assert await walled.left() == []


async def _ask(grid: Grid) -> None:
    """Again and again; each request is answered, by the old release or the new one."""
    while True:
        status, page = await grid.get("site")
        assert (status, page) in ((200, "one"), (200, "two"))
        await asyncio.sleep(0.02)

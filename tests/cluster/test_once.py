"""A POST that is sent again after its daemon was killed at a random moment of it has had its effect once."""

import asyncio
import json
import random
from functools import partial

import aiohttp
import psutil

from tests.cluster.grid import Grid, Said, open_grid

ROUNDS = 12


async def post(grid: Grid, path: str, key: str, body: object) -> tuple[int, dict[str, object]]:
    token = json.loads((grid.data / "client.json").read_text())["token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"http://127.0.0.1:{grid.port}{path}", json=body) as response:
            told: dict[str, object] = await response.json()
            return response.status, told


async def test_a_post_has_its_effect_once_whenever_the_daemon_is_killed() -> None:
    chance, answered = random.Random(7), 0
    async with open_grid() as grid:
        for number in range(ROUNDS):
            begun = asyncio.create_task(post(grid, "/v1/apps", f"key-{number}", {}))
            await asyncio.sleep(chance.uniform(0, 0.03))
            await grid.kill()
            try:
                first = await begun
                answered += 1
            except (aiohttp.ClientError, ConnectionError):
                first = None
            await grid.start()
            second = await post(grid, "/v1/apps", f"key-{number}", {})
            assert second[0] == 201
            assert first is None or first == second
            assert len((await grid.ok("apps", "--json")).json) == number + 1
    assert answered < ROUNDS, "some were killed in the middle"


async def test_the_command_line_sends_a_post_again_that_broke_off() -> None:
    async with open_grid() as grid:
        for number in range(3):
            creating = asyncio.create_task(grid.flynn("create", f"app-{number}"))
            await grid.until(partial(_asked, grid, creating), 20, "the node API is asked")
            await grid.kill()
            await grid.start()
            said = await creating
            assert said.code == 0 or "no flynn answers" in said.err, said
            found = [app["name"] for app in (await grid.ok("apps", "--json")).json]
            assert said.code != 0 or found.count(f"app-{number}") == 1


async def _asked(grid: Grid, client: asyncio.Task[Said]) -> bool:
    """Whether a client is connected to the node API now, or was so briefly that nobody saw it."""
    assert grid.process is not None
    return client.done() or any(
        c.laddr.port == grid.port and c.status == psutil.CONN_ESTABLISHED
        for c in psutil.Process(grid.process.pid).net_connections("tcp")
    )

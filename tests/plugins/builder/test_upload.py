"""The body of a request on its way to a file: whoever sends it for ever does not keep others from sending theirs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from flynn.core.web import BYTES, Route, Stream
from flynn.plugins.builder.upload import received
from tests.harness import open_node


async def test_a_body_that_comes_in_drops_has_a_limit(tmp_path: Path) -> None:
    async def take(request: web.Request) -> web.StreamResponse:
        async with received(request, tmp_path, 1 << 20, total=0.5) as path:
            return web.Response(body=path.read_bytes())

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x"
            await asyncio.sleep(0.05)

    async with open_node(tmp_path) as node:
        with node.web.serving(Route("PUT", "/v1/drops", take, "it", BYTES, Stream(("application/gzip",)))):
            async with node.http.put(f"{node.url}/v1/drops", data=b"all at once") as response:
                assert (response.status, await response.read()) == (200, b"all at once")
            async with node.http.put(f"{node.url}/v1/drops", data=drops()) as response:
                said = await response.json()
    assert (response.status, said["message"].partition(":")[0]) == (422, "the body took too long")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []

"""Streams that stay open keep no other question waiting."""

import asyncio
from contextlib import AsyncExitStack

from aiohttp import web

from flynn.core.outgoing import open_http
from tests.ports import free_port

STREAMS = 120


async def test_more_streams_than_a_client_usually_has() -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"open")
        await closing.wait()
        return response

    async def quick(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Authorization"])

    closing = asyncio.Event()
    app, port = web.Application(), free_port()
    app.add_routes([web.get("/stream", stream), web.get("/quick", quick)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{port}"
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(20):
            http = await stack.enter_async_context(open_http("secret"))
            for _ in range(STREAMS):
                answer = await stack.enter_async_context(http.get(f"{url}/stream"))
                assert await answer.content.readexactly(4) == b"open"
            async with http.get(f"{url}/quick") as last:
                assert await last.text() == "Bearer secret"
            closing.set()
    finally:
        await runner.cleanup()

"""Calls about another host's jobs, passed on to that host's node API."""

import asyncio
import contextlib

import aiohttp
from aiohttp import WSMsgType, web

from flynn.core.brick import Context
from flynn.core.errors import NotFound, Unavailable

VIA = "Flynn-Via"
"""The header that says which host passed a call on; it is passed on once only."""

CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=None)
PIECE = 64 * 1024


def target(ctx: Context, request: web.Request, host: str) -> str:
    """Where to pass a call on that is for `host`. NotFound: there is no such host; Unavailable: a circle."""
    found = ctx.mirror.facts.hosts.get(host)
    if found is None:
        raise NotFound(f"there is no host {host[:60]} now; `flynn status` shows those that are up")
    if VIA in request.headers:
        raise Unavailable(f"this is {ctx.host}, not {host}; the address of {host} is told wrong, set its --address")
    return found.url


async def pass_stream(ctx: Context, request: web.Request, url: str) -> web.StreamResponse:
    """The answer of another node, piece by piece as it comes."""
    try:
        async with ctx.http.get(
            f"{url}{request.path}", params=request.query, headers={VIA: ctx.host}, timeout=CONNECT
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the node at {url} does not answer: {error}") from None


async def pass_socket(ctx: Context, request: web.Request, url: str) -> web.StreamResponse:
    """A WebSocket to another node, both ways, until either side closes."""
    try:
        far = await ctx.http.ws_connect(f"{url}{request.path}", headers={VIA: ctx.host}, heartbeat=20, max_msg_size=0)
    except aiohttp.WSServerHandshakeError:
        return await pass_stream(ctx, request, url)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"the node at {url} does not answer: {error}") from None
    async with far:
        near = web.WebSocketResponse(heartbeat=20, max_msg_size=1024 * 1024)
        await near.prepare(request)
        async with asyncio.TaskGroup() as tasks:
            ways = [tasks.create_task(_pump(far, near)), tasks.create_task(_pump(near, far))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        await near.close()
    return near


async def _pump(
    source: "web.WebSocketResponse | aiohttp.ClientWebSocketResponse",
    sink: "web.WebSocketResponse | aiohttp.ClientWebSocketResponse",
) -> None:
    with contextlib.suppress(ConnectionError):
        async for message in source:
            if message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)

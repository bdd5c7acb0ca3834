"""The log of an app: the streams of all hosts that ran jobs of it, merged."""

import asyncio
import heapq
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from flynn.core.brick import Context
from flynn.core.web import Route, lines, number, send_line
from flynn.plugins.controller import decide

MOST = 10_000
"""Lines asked for at once."""

BUFFER = 1000
"""Lines that may wait for a slow reader; the hosts are not read faster than it."""


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def log(request: web.Request, app: str) -> web.StreamResponse:
        decide.find_app(ctx.mirror.facts, app)
        count = number(request, "n", 100, MOST)
        query = {key: request.query[key] for key in ("type", "job") if request.query.get(key)} | {"app": app}
        response = await lines(request)
        for line in await _last(ctx, query, count):
            await send_line(response, line)
        if request.query.get("follow") == "true":
            await _follow(ctx, query, response)
        return response

    return [Route("GET", "/v1/apps/{app}/log", log)]


async def _last(ctx: Context, query: dict[str, str], count: int) -> list[dict[str, Any]]:
    """The last `count` lines over all hosts, oldest first; a host that does not answer says so in a line."""
    hosts = sorted(ctx.mirror.facts.hosts)
    found = await asyncio.gather(*(_read(ctx, host, query, count) for host in hosts))
    merged = list(heapq.merge(*found, key=lambda line: line["time"]))
    return merged[max(len(merged) - count, 0) :]


async def _read(ctx: Context, host: str, query: dict[str, str], count: int) -> list[dict[str, Any]]:
    try:
        async with asyncio.timeout(10), ctx.http.get(_url(ctx, host), params=query | {"n": str(count)}) as answer:
            return [msgspec.json.decode(line) async for line in answer.content if answer.status == 200]
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        return [_problem(ctx, host, error)]


async def _follow(ctx: Context, query: dict[str, str], response: web.StreamResponse) -> None:
    """New lines of all hosts as they come, until the client goes."""
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BUFFER)
    readers = [
        asyncio.create_task(_follow_host(ctx, host, query, queue), name=f"log of {host}")
        for host in sorted(ctx.mirror.facts.hosts)
    ]
    try:
        while True:
            await send_line(response, await queue.get())
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _follow_host(ctx: Context, host: str, query: dict[str, str], queue: "asyncio.Queue[dict[str, Any]]") -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    asked = query | {"n": "0", "follow": "true"}
    try:
        async with ctx.http.get(_url(ctx, host), params=asked, timeout=timeout) as answer:
            async for line in answer.content:
                await queue.put(msgspec.json.decode(line))
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        await queue.put(_problem(ctx, host, error))


def _url(ctx: Context, host: str) -> str:
    return f"{ctx.mirror.facts.hosts[host].url}/v1/hosts/{host}/log"


def _problem(ctx: Context, host: str, error: Exception) -> dict[str, Any]:
    words = f"the log of {host} cannot be read now: {str(error) or type(error).__name__}"
    return {"kind": "log", "time": ctx.clock(), "job": "", "type": "", "stream": "flynn", "line": words}

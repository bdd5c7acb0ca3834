"""The API of the grid as a whole: how each node fares, which hosts there are."""

import asyncio
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.web import Route, answer, plain


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def status(request: web.Request) -> web.Response:
        facts = ctx.mirror.facts
        leader = facts.get(keys.election("controller"))
        nodes = await asyncio.gather(*(_node(ctx, host) for _, host in sorted(facts.hosts.items())))
        name = leader.host if isinstance(leader, model.Leader) else None
        return answer({"domain": ctx.domain, "leader": name, "nodes": nodes})

    async def hosts(request: web.Request) -> web.Response:
        facts = ctx.mirror.facts
        shown = []
        for name, host in sorted(facts.hosts.items()):
            mine = [a.job for a in facts.jobs.values() if a.host == name]
            shown.append(plain(host) | {"jobs": len(mine), "reserved": sum(job.memory for job in mine)})
        return answer(shown)

    return [Route("GET", "/v1/status", status), Route("GET", "/v1/hosts", hosts)]


async def _node(ctx: Context, host: model.Host) -> dict[str, Any]:
    """What a node says of itself, or why it says nothing (5 s at most)."""
    try:
        async with asyncio.timeout(5), ctx.http.get(f"{host.url}/v1/node") as response:
            told: dict[str, Any] = msgspec.json.decode(await response.read())
            return told
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        return {"name": host.name, "error": f"{host.url} does not answer: {str(error) or 'no answer within 5 s'}"}

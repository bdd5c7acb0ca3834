"""The API of the grid as a whole: how each node fares, which hosts there are."""

import asyncio
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from flynn.core import keys, matching, model
from flynn.core.brick import Context
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY
from flynn.core.records import HostInfo, NodeInfo, Status
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import Route, answer, plain


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def status(request: web.Request) -> web.Response:
        facts = ctx.mirror.facts
        leader = facts.get(keys.election("controller"))
        nodes = await asyncio.gather(*(_node(ctx, host) for _, host in sorted(facts.hosts.items())))
        name = leader.host if isinstance(leader, model.Leader) else None
        return answer(Status(domain=ctx.domain, leader=name, nodes=tuple(nodes)))

    hosts = Watched(ctx, ("hosts", "jobs", "wishes"), all_hosts)

    return [
        Route("GET", "/v1/status", status, "the grid, node by node", Status),
        Route("GET", "/v1/hosts", hosts.answer, "the hosts that are up", Watched.gives(HostInfo), query=Watch),
    ]


def all_hosts(facts: Facts, asked: Watch) -> Rows:
    return {name: host_row(facts, host) for name, host in sorted(facts.hosts.items())}


def host_row(facts: Facts, host: model.Host) -> dict[str, Any]:
    """A host with all its tags, how many jobs it has, the MiB they reserve, and since when it is drained (0: not)."""
    mine = [a.job for a in facts.jobs_by_host.get(host.name, EMPTY).values()]
    wish = facts.wishes.get(host.name)
    found: dict[str, Any] = plain(host)
    return found | {
        "tags": matching.tags(facts, host),
        "jobs": len(mine),
        "reserved": sum(job.memory for job in mine),
        "drained": wish.drained if wish else 0.0,
    }


async def _node(ctx: Context, host: model.Host) -> NodeInfo:
    """What a node says of itself, or why it says nothing (5 s at most)."""
    try:
        async with asyncio.timeout(5), ctx.http.get(f"{host.url}/v1/node") as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=NodeInfo)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error) or "no answer within 5 s"
        return NodeInfo(name=host.name, error=f"{host.url} does not answer: {why}")

"""One-off jobs: `run` queues one in `ephemeral`; attaching, and running beside a job, is passed on to its host."""

import asyncio
import secrets

import aiohttp
from aiohttp import web

from flynn.core.brick import Context
from flynn.core.change import Change
from flynn.core.errors import Conflict, NotFound, Unavailable
from flynn.core.facts import Facts
from flynn.core.keepalive import keep_alive
from flynn.core.once import Made, once
from flynn.core.queue_room import check_room
from flynn.core.records import Id
from flynn.core.web import SOCKET, Route, answer, body
from flynn.plugins.controller.cancel import CANCELLED
from flynn.plugins.controller.jobs import find_job
from flynn.plugins.controller.one_off import NewRun, run_job
from flynn.plugins.controller.queue_limits import Queues

PLACED = 60.0
"""Seconds that an attaching client waits for the job to get a host."""

CONNECT = 15.0
"""Seconds in which the host must answer."""

FRAME = 1024 * 1024
"""Bytes of a client's frame: a host takes no longer ones."""


def routes(ctx: Context, queues: Queues) -> list[Route]:
    """The routes of this part of the API."""

    async def run(request: web.Request, app: str) -> web.Response:
        wanted = await body(request, NewRun)
        id, now = f"{app}-run-{secrets.token_hex(4)}", ctx.clock()

        def queued(facts: Facts) -> tuple[Change, Made]:
            check_room(facts, "ephemeral", queues.ephemeral.bound)
            return run_job(facts, app, wanted, id, now, queues.ephemeral.time_limit), {"id": id}

        _, made = await once(ctx, request, queued)
        return answer(made, 201)

    async def attach(request: web.Request, job: str) -> web.StreamResponse:
        return await relay(ctx, request, await _url(ctx, job, "attach"))

    async def execute(request: web.Request, job: str) -> web.StreamResponse:
        return await relay(ctx, request, await _url(ctx, job, "exec"))

    return [
        Route("POST", "/v1/apps/{app}/run", run, "run a one-off job", Id, NewRun, status=201),
        Route("GET", "/v1/jobs/{job}/attach", attach, "its standard streams", SOCKET, status=101, errors=(Conflict,)),
        Route("GET", "/v1/jobs/{job}/exec", execute, "a command beside it", SOCKET, status=101, errors=(Conflict,)),
    ]


async def _url(ctx: Context, job: str, what: str) -> str:
    host = await _host_of(ctx, job)
    return f"{ctx.mirror.facts.hosts[host].url}/v1/hosts/{host}/jobs/{job}/{what}"


async def _host_of(ctx: Context, job: str) -> str:
    def placed(facts: Facts) -> str:
        found = find_job(facts, job)
        return found.host if found and found.state and found.host in facts.hosts else ""

    waited = f"ephemeral/{job}" in ctx.mirror.facts.queues
    try:
        facts = await ctx.mirror.until(lambda facts: bool(placed(facts)) or find_job(facts, job) is None, PLACED)
    except TimeoutError:
        queued = ctx.mirror.facts.queues.get(f"ephemeral/{job}")
        why = queued.reason if queued else ""
        raise Unavailable(f"{job} has no place after {PLACED:g} s: {why or 'it is in line'}") from None
    host = placed(facts)
    if not host and waited:
        raise NotFound(f"{job} was not run: {CANCELLED}", job=job)
    if not host:
        raise NotFound(f"no job {job[:80]!r} is running; `flynn ps` lists those that are", job=job[:80])
    return host


async def relay(ctx: Context, request: web.Request, url: str) -> web.StreamResponse:
    """Pass a WebSocket on to `url` of the grid, frame by frame, until either side ends; or the host's refusal."""
    near = web.WebSocketResponse(max_msg_size=FRAME)
    if not near.can_prepare(request):
        return await _refusal(ctx, url)
    try:
        async with asyncio.timeout(CONNECT):
            far = await ctx.http.ws_connect(url, max_msg_size=0)
    except aiohttp.WSServerHandshakeError:
        return await _refusal(ctx, url)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _silent(error) from None
    try:
        keep_alive(far.get_extra_info("socket"))
        await near.prepare(request)
        ways = [
            asyncio.create_task(_pump(near, far), name="attach: client to host"),
            asyncio.create_task(_pump(far, near), name="attach: host to client"),
        ]
        _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    finally:
        await far.close()
        await near.close()
    return near


async def _refusal(ctx: Context, url: str) -> web.Response:
    """What the host says to one who does not ask for a WebSocket: the same refusal, in words."""
    try:
        async with asyncio.timeout(CONNECT), ctx.http.get(url) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _silent(error) from None


def _silent(error: Exception) -> Unavailable:
    return Unavailable(f"the host of the job does not answer: {str(error) or f'nothing within {CONNECT:g} s'}")


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: Socket, target: Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)

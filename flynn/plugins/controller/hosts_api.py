"""The API of what operators want of hosts: drain one, know beforehand what that does, tag it."""

import asyncio
import dataclasses
from typing import Any

import msgspec
from aiohttp import web

from flynn.core import matching, model, records
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.core.once import once
from flynn.core.web import LINES, Route, answer, body, lines, query, send_line
from flynn.plugins.controller import wishes
from flynn.plugins.controller.drain import Forecast, Staying, forecast, on_host, staying
from flynn.plugins.controller.jobs_api import Waiting

TIMEOUT = 600.0
"""Seconds that a drain is followed, and after which a forced one stops what does not end by itself."""

TIMEOUT_LIMIT = 86400.0

NAMED = 5
"""Jobs that a sentence names."""


class Drain(msgspec.Struct, forbid_unknown_fields=True):
    force: bool = False
    timeout: float = TIMEOUT


class Tags(msgspec.Struct, forbid_unknown_fields=True):
    set: dict[str, str] = {}
    remove: list[str] = []


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def plan(request: web.Request, host: str) -> web.Response:
        return answer(shown(forecast(ctx.mirror.facts, host, ctx.clock())))

    async def drain(request: web.Request, host: str) -> web.StreamResponse:
        wanted, now = await body(request, Drain), ctx.clock()
        if not 0 <= wanted.timeout <= TIMEOUT_LIMIT:
            raise Invalid(f"timeout={wanted.timeout:g} is no good; seconds from 0 to {TIMEOUT_LIMIT:g}")
        await once(ctx, request, lambda facts: (wishes.drain(facts, host, wanted.force, wanted.timeout, now), {}))
        response = await lines(request)
        if not query(request, Waiting).wait:
            told = f"{host} takes no new job and is being drained; `flynn host` shows how it fares"
            await send_line(response, {"kind": "done", "ok": True, "message": told, "seconds": 0.0})
        else:
            await follow(ctx, host, wanted.timeout, response)
        return response

    async def change(request: web.Request, host: str, decided: Any) -> web.Response:
        facts = await carry_out(ctx.store, ctx.mirror, decided)
        return answer(facts.wishes.get(host) or model.Wish(host=host))

    async def undrain(request: web.Request, host: str) -> web.Response:
        return await change(request, host, lambda facts: wishes.undrain(facts, host))

    async def tag(request: web.Request, host: str) -> web.Response:
        wanted = await body(request, Tags)

        def decided(facts: Facts) -> Change:
            return wishes.set_tags(facts, host, wanted.set, wanted.remove)

        return await change(request, host, decided)

    one = "/v1/hosts/{host}/drain"
    return [
        Route("GET", one, plan, "what a drain would do now", records.Forecast),
        Route("POST", one, drain, "move its work away", LINES, Drain, query=Waiting),
        Route("DELETE", one, undrain, "let it have jobs again", model.Wish),
        Route("PATCH", "/v1/hosts/{host}/tags", tag, "change its tags", model.Wish, Tags),
    ]


def shown(found: Forecast) -> dict[str, Any]:
    return dataclasses.asdict(found)


async def follow(ctx: Context, host: str, limit: float, response: web.StreamResponse) -> None:
    """A line for each job that leaves, and when those that are left wait for something else; then the `done` line."""
    now = asyncio.get_running_loop().time
    began, before, said = now(), {job.job.id for job in on_host(ctx.mirror.facts, host)}, ""
    while True:
        facts = ctx.mirror.facts
        left = [staying(facts, job) for job in on_host(facts, host)]
        ids = {one.id for one in left}
        for gone in sorted(before - ids):
            await send_line(response, _line(ctx, f"{gone} has left {host}", len(ids)))
        waits = "; ".join(dict.fromkeys(f"{one.app} {one.type}: {one.reason}" for one in left if "waits" in one.reason))
        if waits and waits != said:
            await send_line(response, _line(ctx, waits, len(ids)))
        before, said = ids, waits
        ended = done(facts, host, left, now() - began >= limit)
        if ended:
            await send_line(response, ended | {"seconds": round(now() - began, 3)})
            return
        await ctx.mirror.catch_up(facts, max(min(limit - (now() - began), 5.0), 0.01))


def done(facts: Facts, host: str, left: list[Staying], late: bool) -> dict[str, Any] | None:
    """The `done` line of a drain, once it is over or its time is."""
    if not matching.draining(facts, host):
        return {"kind": "done", "ok": False, "message": f"{host} is drained no more: the drain was called off"}
    if not left:
        return {"kind": "done", "ok": True, "message": f"{host} is drained: it has no job"}
    for_good = all(one.for_good for one in left)
    if not for_good and not late:
        return None
    named = "; ".join(f"{one.id} {one.reason}" for one in left[:NAMED])
    more = f"; and {len(left) - NAMED} more" if len(left) > NAMED else ""
    remedy = "--force stops them" if for_good else "the drain goes on; --force stops what cannot be moved"
    message = f"{host} still has {len(left)} {_jobs(left)}: {named}{more} ({remedy})"
    return {"kind": "done", "ok": False, "message": message}


def _line(ctx: Context, message: str, left: int) -> dict[str, Any]:
    return {"kind": "drain", "message": message, "left": left, "time": ctx.clock()}


def _jobs(left: list[Staying]) -> str:
    return "job" if len(left) == 1 else "jobs"

"""The API of log sinks: where the lines of apps are sent as well."""

import asyncio
import secrets
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.errors import Full, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.once import once
from flynn.core.records import SinkInfo
from flynn.core.web import Route, answer, body, plain
from flynn.plugins.controller import decide

MOST = 100
"""Sinks of a grid."""

SIZE = 64 * 1024
"""Bytes of the URL and the options of one."""

ANSWER = 5.0
"""Seconds that a host may take to tell how its sinks fare."""

HIDDEN = "***"


class NewSink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    app: str = ""
    options: dict[str, str] = {}


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def show(request: web.Request) -> web.Response:
        facts = ctx.mirror.facts
        hosts = sorted(facts.hosts)
        told = dict(
            zip(hosts, await asyncio.gather(*(_progress(ctx, facts.hosts[host]) for host in hosts)), strict=True)
        )
        ordered = sorted(facts.sinks.values(), key=lambda sink: (sink.created, sink.id))
        return answer([plain(masked(sink)) | {"hosts": _of(sink.id, told)} for sink in ordered])

    async def add(request: web.Request) -> web.Response:
        wanted = await body(request, NewSink)
        check(wanted, _kinds(ctx))
        made = model.Sink(
            id=secrets.token_hex(4), url=wanted.url, app=wanted.app, options=wanted.options, created=ctx.clock()
        )
        facts, told = await once(ctx, request, lambda facts: (add_sink(facts, made), {"id": made.id}))
        return answer(masked(find_sink(facts, told["id"])), 201)

    async def remove(request: web.Request, id: str) -> web.Response:
        gone = find_sink(ctx.mirror.facts, id)
        await carry_out(ctx.store, ctx.mirror, lambda facts: remove_sink(facts, id))
        return answer(masked(gone))

    return [
        Route("GET", "/v1/sinks", show, "log sinks, and how each host fares with them", list[SinkInfo]),
        Route("POST", "/v1/sinks", add, "send logs somewhere as well", model.Sink, NewSink, status=201),
        Route("DELETE", "/v1/sinks/{id}", remove, "remove a log sink", model.Sink),
    ]


def check(wanted: NewSink, kinds: dict[str, Any]) -> None:
    """Invalid: it is no sink that this flynn can send to."""
    if sum(map(len, (wanted.url, *wanted.options, *wanted.options.values()))) > SIZE:
        raise Invalid(f"the sink is too long; its URL and options have {SIZE} bytes at most")
    scheme, colon, _ = wanted.url.partition("://")
    if not colon or scheme not in kinds:
        raise Invalid(
            f"{wanted.url[:60]} is no URL of a sink; known are: {', '.join(f'{s}://' for s in sorted(kinds))}"
        )
    kinds[scheme](wanted.url, wanted.options)


def add_sink(facts: Facts, sink: model.Sink) -> Change:
    if sink.app:
        decide.find_app(facts, sink.app)
    if len(facts.sinks) >= MOST:
        raise Full(f"the grid has {MOST} sinks, more it cannot have; `flynn sink remove ID` removes one", limit=MOST)
    key = keys.sink(sink.id)
    seen = (keys.app(sink.app),) if sink.app else ()
    return Change(puts={key: sink}, seen=seen, why=f"add the log sink {sink.id}")


def remove_sink(facts: Facts, id: str) -> Change:
    find_sink(facts, id)
    return Change(deletes=(keys.sink(id),), why=f"remove the log sink {id}")


def find_sink(facts: Facts, id: str) -> model.Sink:
    found = facts.sinks.get(id)
    if found is None:
        raise NotFound(f"there is no sink {id[:60]}; `flynn sink` lists them", sink=id[:60])
    return found


def masked(sink: model.Sink) -> model.Sink:
    """The sink without its secrets: what is told of it to anybody."""
    parts = urlsplit(sink.url)
    place = parts.netloc.rpartition("@")[2]
    netloc = f"{HIDDEN}@{place}" if "@" in parts.netloc else place
    url = parts._replace(netloc=netloc, query=HIDDEN if parts.query else "").geturl()
    options = {name: HIDDEN if name.startswith("header.") else value for name, value in sink.options.items()}
    return replace(sink, url=url, options=options)


def _kinds(ctx: Context) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for offered in reversed(ctx.hooks.hook.flynn_log_sinks()):
        found |= offered
    return found


def _of(id: str, told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {host: of[id] if id in of else of[""] for host, of in told.items() if id in of or "" in of}


async def _progress(ctx: Context, host: model.Host) -> dict[str, dict[str, Any]]:
    """What a host says of all sinks; under "" that it says nothing."""
    try:
        async with asyncio.timeout(ANSWER), ctx.http.get(f"{host.url}/v1/hosts/{host.name}/sinks") as response:
            response.raise_for_status()
            told: dict[str, dict[str, Any]] = msgspec.json.decode(await response.read())
            return told
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        return {"": {"problem": f"the host does not answer: {str(error) or f'no answer within {ANSWER:g} s'}"}}

"""The API of what jobs and machines take now: each host is asked, once. It is nowhere in the store."""

import asyncio
from collections.abc import Mapping

import aiohttp
import msgspec
from aiohttp import web

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.errors import NotFound
from flynn.core.facts import Facts
from flynn.core.records import HostDetail
from flynn.core.usage import AppUsage, JobUsage, Told
from flynn.core.web import Route, answer
from flynn.plugins.controller import decide
from flynn.plugins.controller.grid import host_row
from flynn.plugins.controller.jobs import jobs_of

ANSWER = 3.0
"""Seconds that a host has for its answer."""


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""

    async def app_usage(request: web.Request, app: str) -> web.Response:
        facts = ctx.mirror.facts
        decide.find_app(facts, app)
        names = hosts_of(facts, app)
        told = await asyncio.gather(*(ask(ctx, facts.hosts.get(name), {"app": app}) for name in names))
        return answer(added(dict(zip(names, told, strict=True))))

    async def host(request: web.Request, host: str) -> web.Response:
        facts = ctx.mirror.facts
        found = facts.hosts.get(host)
        if found is None:
            raise NotFound(f"there is no host {host[:60]} now; `flynn host` lists those that are up", host=host[:60])
        told = await ask(ctx, found, {})
        live = {"usage": None, "silent": told} if isinstance(told, str) else {"usage": told.host, "silent": ""}
        return answer(host_row(facts, found) | live)

    return [
        Route("GET", "/v1/apps/{app}/usage", app_usage, "what its running jobs take now", AppUsage),
        Route("GET", "/v1/hosts/{host}", host, "a host, as it is now", HostDetail),
    ]


def hosts_of(facts: Facts, app: str) -> list[str]:
    """The hosts that have jobs of an app."""
    return sorted({job.host for job in jobs_of(facts, app) if job.host})


def added(told: Mapping[str, Told | str]) -> AppUsage:
    """All hosts' answers as one; a text is why there is none."""
    jobs: dict[str, JobUsage] = {}
    for one in told.values():
        jobs |= one.jobs if isinstance(one, Told) else {}
    return AppUsage(jobs=jobs, silent={host: why for host, why in told.items() if isinstance(why, str)})


async def ask(ctx: Context, host: model.Host | None, query: Mapping[str, str]) -> Told | str:
    """What a host tells, or why it tells nothing."""
    if host is None:
        return "it is not up"
    url = f"{host.url}/v1/hosts/{host.name}/usage"
    try:
        async with asyncio.timeout(ANSWER), ctx.http.get(url, params=dict(query)) as response:
            if response.status != 200:
                return f"it answers {response.status} {response.reason}"
            return msgspec.json.decode(await response.read(), type=Told)
    except TimeoutError:
        return f"it does not answer within {ANSWER:g} s"
    except aiohttp.ClientError as error:
        return f"it does not answer: {str(error) or type(error).__name__}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "its answer is not understood; is its daemon of another version?"

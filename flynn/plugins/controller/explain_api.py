"""The API of explanations: why jobs are where they are, or wait."""

import asyncio

from aiohttp import web

from flynn.core.brick import Context
from flynn.core.explained import Explained
from flynn.core.web import Route, answer
from flynn.plugins.controller import decide
from flynn.plugins.controller.place_explain import explain_app, explain_job
from flynn.plugins.controller.queue_limits import Queues


def routes(ctx: Context, queues: Queues) -> list[Route]:
    """The routes of this part of the API. On a large grid an explanation takes a while: it is made in a thread."""

    async def app(request: web.Request, app: str) -> web.Response:
        facts = ctx.mirror.facts
        decide.find_app(facts, app)
        return answer(await asyncio.to_thread(explain_app, facts, app, queues.per_host))

    async def job(request: web.Request, job: str) -> web.Response:
        return answer(await asyncio.to_thread(explain_job, ctx.mirror.facts, job, queues.per_host))

    return [
        Route("GET", "/v1/apps/{app}/explain", app, "why its jobs are where they are", list[Explained]),
        Route("GET", "/v1/jobs/{job}/explain", job, "why a job is where it is", Explained),
    ]

"""The API of the queues: how they fare, what waits in one, take a job out of it."""

from typing import Annotated

import msgspec
from aiohttp import web

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.change import carry_out
from flynn.core.errors import NotFound
from flynn.core.facts import Facts
from flynn.core.records import Id, QueueDetail, QueueInfo
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import Route, answer, plain, query
from flynn.plugins.controller.cancel import cancel
from flynn.plugins.controller.queue_limits import Queues
from flynn.plugins.controller.queue_view import queue_info, waiting_jobs

SHOWN, SHOWN_LIMIT = 1000, 100_000
"""Jobs of a queue that are listed, unless more are asked for."""


class Most(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`n`: so many of the jobs that wait."""

    n: Annotated[int, msgspec.Meta(ge=0, le=SHOWN_LIMIT)] = SHOWN


def routes(ctx: Context, queues: Queues) -> list[Route]:
    """The routes of this part of the API."""

    def rows(facts: Facts, asked: Watch) -> Rows:
        return {name: queue_info(facts, name, queues, ctx.clock()) for name in model.QUEUES}

    listed = Watched(ctx, ("queues", "jobs", "states"), rows)

    async def show(request: web.Request, queue: str) -> web.Response:
        most = query(request, Most).n
        facts, now, name = ctx.mirror.facts, ctx.clock(), named(queue)
        jobs = waiting_jobs(facts, name, queues, now, most)
        return answer(plain(queue_info(facts, name, queues, now)) | {"jobs": plain(jobs)})

    async def take_out(request: web.Request, queue: str, job: str) -> web.Response:
        name, now = named(queue), ctx.clock()
        await carry_out(ctx.store, ctx.mirror, lambda facts: cancel(facts, name, job, now))
        return answer({"id": job})

    return [
        Route("GET", "/v1/queues", listed.answer, "how each queue fares", Watched.gives(QueueInfo), query=Watch),
        Route("GET", "/v1/queues/{queue}", show, "a queue, and what waits in it", QueueDetail, query=Most),
        Route("DELETE", "/v1/queues/{queue}/{job}", take_out, "take a job out of its queue", Id),
    ]


def named(name: str) -> model.Queue:
    """The queue of that name. NotFound: there is none."""
    for queue in model.QUEUES:
        if queue == name:
            return queue
    raise NotFound(f"there is no queue {name[:40]!r}; there are: {', '.join(model.QUEUES)}", queues=list(model.QUEUES))

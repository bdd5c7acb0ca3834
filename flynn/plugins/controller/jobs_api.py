"""The API of jobs: the formation of an app, what runs, stop one."""

from datetime import UTC
from typing import Any

import msgspec
from aiohttp import web

from flynn.core import keys, model, moment
from flynn.core.brick import Context
from flynn.core.change import carry_out
from flynn.core.facts import Facts
from flynn.core.follow import follow_scale
from flynn.core.records import Id, JobInfo
from flynn.core.version import etag, unless_changed
from flynn.core.watched import Rows, Watch, Watched
from flynn.core.web import LINES, Route, answer, body, lines, plain, query, send_line
from flynn.plugins.controller import decide
from flynn.plugins.controller.events.then import jobs_at
from flynn.plugins.controller.moving import why
from flynn.plugins.controller.scaling import Asked, scale

TABLES = ("jobs", "states", "queues")
"""Where jobs are told of."""

SCALE_LIMIT = 150.0
"""Seconds that a scale is followed; past it, it goes on without a listener."""


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`wait`: whether to follow it until the counts are met."""

    wait: bool = True


class Which(Watch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`all`: those that have ended as well; `at`: as they were then, see `core/moment.py`."""

    all: bool = False
    at: str = ""


class Ended(Watch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`all`: those that have ended as well."""

    all: bool = False


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    api, one = JobsApi(ctx), "/v1/apps/{app}/formation"
    return [
        Route("GET", one, api.formation, "how many there shall be of each type", dict[str, int], versioned=True),
        Route("PATCH", one, api.scale, "scale it", LINES, dict[str, int | Asked], query=Waiting, versioned=True),
        Route("GET", "/v1/apps/{app}/placement", api.placement, "where they may be", dict[str, model.Placement]),
        Route("GET", "/v1/apps/{app}/jobs", api.jobs, "its jobs", Watched.gives(JobInfo), query=Which),
        Route("GET", "/v1/jobs", api.grid_jobs.answer, "the jobs of all apps", Watched.gives(JobInfo), query=Ended),
        Route("DELETE", "/v1/jobs/{job}", api.stop, "stop a job", Id),
    ]


class JobsApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.app_jobs = Watched(ctx, ("apps", *TABLES), jobs_of_app)
        self.grid_jobs = Watched(ctx, ("apps", *TABLES), jobs_of_grid)

    async def formation(self, request: web.Request, app: str) -> web.Response:
        facts = self.ctx.mirror.facts
        decide.find_app(facts, app)
        formation = facts.formations.get(app)
        return answer(formation.counts if formation else {}, headers=etag(facts, keys.formation(app)))

    async def placement(self, request: web.Request, app: str) -> web.Response:
        facts = self.ctx.mirror.facts
        decide.find_app(facts, app)
        formation = facts.formations.get(app)
        return answer({type: plain(where) for type, where in formation.placement.items()} if formation else {})

    async def scale(self, request: web.Request, app: str) -> web.StreamResponse:
        asked = await body(request, dict[str, int | Asked])
        before = self.ctx.mirror.facts
        decided = unless_changed(request, keys.formation(app), lambda facts: scale(facts, app, asked))
        await carry_out(self.ctx.store, self.ctx.mirror, decided)
        response = await lines(request)
        if not query(request, Waiting).wait:
            await send_line(response, {"kind": "done", "ok": True, "message": f"{app} is being scaled", "seconds": 0.0})
        else:
            await follow_scale(self.ctx, app, SCALE_LIMIT, response, before)
        return response

    async def jobs(self, request: web.Request, app: str) -> web.StreamResponse:
        facts = self.ctx.mirror.facts
        asked = query(request, Which)
        if asked.at:
            now = self.ctx.clock()
            present = list_jobs(facts, app, everything=True)
            return answer(jobs_at(facts, app, moment.since(asked.at, now, UTC), now, present, asked.all))
        return await self.app_jobs.answer(request, app=app)

    async def stop(self, request: web.Request, job: str) -> web.Response:
        now = self.ctx.clock()
        await carry_out(self.ctx.store, self.ctx.mirror, lambda facts: decide.stop_job(facts, job, now))
        return answer({"id": job})


def jobs_of_app(facts: Facts, asked: Which, app: str) -> Rows:
    """The jobs of an app by id. NotFound."""
    decide.find_app(facts, app)
    return {job["id"]: job for job in list_jobs(facts, app, asked.all)}


def jobs_of_grid(facts: Facts, asked: Ended) -> Rows:
    """The jobs of all apps that there are."""
    return {job["id"]: job for app in sorted(facts.apps) for job in list_jobs(facts, app, asked.all)}


def list_jobs(facts: Facts, app: str, everything: bool) -> list[dict[str, Any]]:
    """The app's jobs: running ones and queued ones, with `everything` also the ended ones still remembered."""
    assigned = {key: a for queue in model.QUEUES for key, a in facts.jobs_of(app, queue).items()}
    states = {key: state for queue in model.QUEUES for key, state in facts.states_of(app, queue).items()}
    shown: list[dict[str, Any]] = []
    for key, state in states.items():
        if everything or (key in assigned and state.state != "down"):
            moving = why(assigned[key].moving, state.host) if key in assigned and assigned[key].moving else ""
            shown.append(plain(state) | {"waiting": False, "moving": moving})
    for key, a in assigned.items():
        if key not in states:
            shown.append(_soon(a.job, "starting", "") | {"host": a.host, "waiting": False})
    for queued in (each for queue in model.QUEUES for each in facts.queued_of(app, queue).values()):
        shown.append(_soon(queued.job, "queued", queued.reason) | {"waiting": True})
    return sorted(shown, key=lambda job: (job["type"], job["created"], job["id"]))


def _soon(job: model.Job, state: str, reason: str) -> dict[str, Any]:
    return {
        "id": job.id, "app": job.app, "type": job.type, "queue": job.queue, "release": job.release, "state": state,
        "reason": reason, "created": job.created, "since": job.created, "meta": job.meta,
    }  # fmt: skip

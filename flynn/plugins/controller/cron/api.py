"""The API of cron entries: which there are, what became of their runs, run one now, pause."""

import secrets
from typing import Any

import msgspec
from aiohttp import web

from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.facts import Facts
from flynn.core.model import Run
from flynn.core.once import Made, once
from flynn.core.queue_room import check_room
from flynn.core.records import CronInfo, Id
from flynn.core.web import Route, answer, body, plain
from flynn.plugins.controller.cron import verbs
from flynn.plugins.controller.queue_limits import Queues


class Paused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    paused: bool


def routes(ctx: Context, queues: Queues) -> list[Route]:
    """The routes of this part of the API."""

    async def show(request: web.Request, app: str) -> web.Response:
        facts, now = ctx.mirror.facts, ctx.clock()
        return answer([row(facts, app, name, now) for name in verbs.entries(facts, app)])

    async def runs(request: web.Request, app: str, name: str) -> web.Response:
        _, ledger = verbs.find_entry(ctx.mirror.facts, app, name)
        return answer(ledger.runs[::-1])

    async def run(request: web.Request, app: str, name: str) -> web.Response:
        id, now = f"{app}-{name}-{secrets.token_hex(4)}", ctx.clock()

        def begun(facts: Facts) -> tuple[Change, Made]:
            check_room(facts, "ephemeral", queues.ephemeral.bound)
            return verbs.run_now(facts, app, name, id, now), {"id": id}

        _, made = await once(ctx, request, begun)
        return answer(made, 201)

    async def change(request: web.Request, app: str, name: str) -> web.Response:
        wanted, now = await body(request, Paused), ctx.clock()
        facts = await carry_out(ctx.store, ctx.mirror, lambda facts: verbs.pause(facts, app, name, wanted.paused, now))
        return answer(row(facts, app, name, now))

    one = "/v1/apps/{app}/cron/{name}"
    return [
        Route("GET", "/v1/apps/{app}/cron", show, "what it runs by the clock", list[CronInfo]),
        Route("PATCH", one, change, "pause an entry, or resume it", CronInfo, Paused),
        Route("GET", f"{one}/runs", runs, "its runs, newest first", list[Run]),
        Route("POST", f"{one}/run", run, "run it now", Id, status=201),
    ]


def row(facts: Facts, app: str, name: str, now: float) -> dict[str, Any]:
    """An entry, whether it is paused, when it is due next (null: not known), and its last run (null: none yet)."""
    entry, ledger = verbs.find_entry(facts, app, name)
    shown: dict[str, Any] = {"name": name, **plain(entry), "paused": ledger.paused}
    last = ledger.runs[-1] if ledger.runs else None
    return shown | {"next": verbs.coming(entry, ledger, now), "last": plain(last) if last else None}

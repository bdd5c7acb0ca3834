"""A list of the API that can be watched: `?watch=true` gives it whole, then each change as it comes (docs/api.md).

What is sent is found by comparing two photos, so a slow reader costs no memory: it gets fewer, larger steps.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from aiohttp import web

from flynn.core.errors import FlynnError, Invalid, TooMany
from flynn.core.facts import Facts
from flynn.core.logform import EVENTS, JSON
from flynn.core.web import Stream, answer, plain, query, write_soon

if TYPE_CHECKING:
    from flynn.core.brick import Context

BEAT = 15.0
"""Seconds without a change after which a watcher gets a sign of life."""

PACE = 0.1
"""Seconds between two steps; more where a step takes long, so that watching takes a fifth of a core at most."""

WATCHERS = 200
"""Watchers of one list on one node."""

PHOTOS = 64
"""Photos of which changes are told to one who comes back."""

Rows = Mapping[str, Any]
"""The list: what stands in it by id, in its order."""

Made = Callable[[Facts], dict[str, bytes]]
"""The same as JSON, of a photo."""


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`watch`: then each change; `after`: the revision that was seen last, to go on from."""

    watch: bool = False
    after: Annotated[int, msgspec.Meta(ge=0, le=10**18)] | None = None


class Watched:
    """A list made by `rows` (which gets the photo, what is asked, and the path's params) of what is in `tables`.

    `rows` is pure; it is called in a thread, as it may take long. What it raises is the refusal, or later the end.
    """

    def __init__(self, ctx: "Context", tables: tuple[str, ...], rows: Callable[..., Rows], beat: float = BEAT) -> None:
        self.mirror, self.tables, self.rows, self.beat = ctx.mirror, tables, rows, beat
        self._photos: OrderedDict[int, Facts] = OrderedDict()
        self._watchers = 0

    @staticmethod
    def gives(row: Any) -> tuple[Any, Stream]:
        """What a route of it gives."""
        return list[row], Stream((JSON, EVENTS), dict[str, Any])

    async def answer(self, request: web.Request, **params: str) -> web.StreamResponse:
        """The handler of its route."""
        asked, facts = query(request, Watch), self.mirror.facts
        if not asked.watch:
            return answer(list(self.rows(facts, asked, **params).values()))
        after = asked.after if asked.after is not None else _last_id(request)
        if self._watchers >= WATCHERS:
            raise TooMany(f"{WATCHERS} watch this list on this node already", retry_after=5)
        self._watchers += 1
        try:
            return await self._send(request, facts, after, lambda facts: encoded(self.rows(facts, asked, **params)))
        finally:
            self._watchers -= 1

    async def _send(self, request: web.Request, facts: Facts, after: int | None, made: Made) -> web.StreamResponse:
        before = self._photos.get(after) if after is not None else None
        shown = await asyncio.to_thread(made, facts)
        told = await asyncio.to_thread(made, before) if before else None
        form = EVENTS if EVENTS in request.headers.get("Accept", "") else JSON
        response = web.StreamResponse(headers={"Content-Type": form, "Cache-Control": "no-store"})
        await response.prepare(request)
        begin = whole(facts.revision, shown) if told is None else changes(facts.revision, told, shown)
        self._keep(facts)
        async with aclosing(self._lines(facts, shown, begin, made)) as found:
            async for lines in found:
                await write_soon(request, response, b"".join(_form(form, *line) for line in lines))
        return response

    async def _lines(
        self, facts: Facts, shown: dict[str, bytes], begin: "list[Line]", made: Made
    ) -> AsyncGenerator["list[Line]", None]:
        yield begin
        loop, pause = asyncio.get_running_loop(), PACE
        while True:
            await asyncio.sleep(pause)
            try:
                facts = await self.mirror.until(self._differs_from(facts), self.beat)
            except TimeoutError:
                facts = self.mirror.facts
                self._keep(facts)
                yield [at("beat", facts.revision)]
                continue
            began = loop.time()
            try:
                now = await asyncio.to_thread(made, facts)
            except FlynnError as error:
                told = {"kind": "done", "ok": False, "message": str(error)}
                yield [("done", 0, msgspec.json.encode(told))]
                return
            if now != shown:
                self._keep(facts)
                yield changes(facts.revision, shown, now)
            shown, pause = now, max(PACE, 4 * (loop.time() - began))

    def _differs_from(self, old: Facts) -> Callable[[Facts], bool]:
        tables = [old.tables.get(name) for name in self.tables]
        return lambda facts: any(
            facts.tables.get(name) is not table for name, table in zip(self.tables, tables, strict=True)
        )

    def _keep(self, facts: Facts) -> None:
        self._photos[facts.revision] = facts
        if len(self._photos) > PHOTOS:
            self._photos.popitem(last=False)


Line = tuple[str, int, bytes]
"""Its kind, the revision from which a watcher who has it can go on (0: from none), and its JSON."""


def encoded(rows: Rows) -> dict[str, bytes]:
    return {id: msgspec.json.encode(plain(row)) for id, row in rows.items()}


def whole(revision: int, rows: Mapping[str, bytes]) -> list[Line]:
    """The list as it is."""
    items = b",".join(rows.values())
    return [("list", revision, b'{"kind":"list","revision":%d,"items":[%b]}' % (revision, items))]


def changes(revision: int, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[Line]:
    """What is otherwise in `new`: what is gone, what came or changed, and at last that this is all up to `revision`."""
    gone = [b'{"kind":"gone","id":%b}' % msgspec.json.encode(id) for id in old if id not in new]
    changed = [
        b'{"kind":"item","id":%b,"item":%b}' % (msgspec.json.encode(id), row)
        for id, row in new.items()
        if old.get(id) != row
    ]
    return [*(("gone", 0, line) for line in gone), *(("item", 0, line) for line in changed), at("current", revision)]


def at(kind: str, revision: int) -> Line:
    return kind, revision, b'{"kind":"%b","revision":%d}' % (kind.encode(), revision)


def _form(form: str, kind: str, revision: int, line: bytes) -> bytes:
    if form == JSON:
        return line + b"\n"
    id = b"id: %d\n" % revision if revision else b""
    return id + b"event: %b\ndata: %b\n\n" % (kind.encode(), line)


def _last_id(request: web.Request) -> int | None:
    raw = request.headers.get("Last-Event-ID", "")
    if raw and not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise Invalid(f"Last-Event-ID: {raw[:40]} is no good; a whole number", header="Last-Event-ID")
    return int(raw) if raw else None

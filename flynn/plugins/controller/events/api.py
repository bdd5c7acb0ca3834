"""The API of events: what has happened, and what happens, as JSON lines or server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from flynn.core.brick import Context
from flynn.core.errors import Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.logform import EVENTS, JSON
from flynn.core.model import Event
from flynn.core.web import Route, Stream, answer, query
from flynn.plugins.controller.events import history
from flynn.plugins.controller.events.asked import Asked, EventsQuery, asked

BEAT = 15.0
"""Seconds of silence after which a follower gets a sign of life."""

SLICE = 200
"""Events that are sent at once: others get their turn in between, and a slow reader holds no more than these."""

FIELDS = Event.__struct_fields__


def routes(ctx: Context, beat: float = BEAT) -> list[Route]:
    """The routes of this part of the API."""

    async def events(request: web.Request) -> web.StreamResponse:
        form = EVENTS if EVENTS in request.headers.get("Accept", "") else JSON
        wanted = asked(query(request, EventsQuery), request.headers.get("Last-Event-ID", ""), ctx.clock())
        headers = {"Content-Type": f"{form}; charset=utf-8", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        async with aclosing(Told(ctx, wanted, form, beat).pieces()) as pieces:
            async for piece in pieces:
                if piece:
                    await response.write(piece)
        return response

    async def show(request: web.Request, id: str) -> web.Response:
        if not (id.isascii() and id.isdigit() and len(id) < 16):
            raise Invalid(f"{id[:40]} is no id of an event; they are numbers")
        return answer(find(ctx.mirror.facts, int(id)))

    gives = Stream((JSON, EVENTS), dict[str, Any])
    return [
        Route("GET", "/v1/events", events, "what has happened in the grid, and happens", gives, query=EventsQuery),
        Route("GET", "/v1/events/{id}", show, "an event", Event),
    ]


def find(facts: Facts, id: int) -> Event:
    """The event of that id. NotFound says which there are."""
    found = next((event for event in history.since(facts, id - 1) if event.id == id), None)
    if found is None:
        first, last = history.first_id(facts), history.newest(facts)
        raise NotFound(f"there is no event {id}; there are {first} to {last.next - 1 if last else 0}")
    return found


class Told:
    """One who reads. Nothing is kept for a slow one: what is gone before it is read, it is told is missing."""

    def __init__(self, ctx: Context, wanted: Asked, form: str, beat: float) -> None:
        self.mirror, self.wanted, self.form, self.beat = ctx.mirror, wanted, form, beat

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What to send, until it is complete; with `follow` without end."""
        facts, wanted = self.mirror.facts, self.wanted
        end = last.next - 1 if (last := history.newest(facts)) else 0
        at = min(wanted.after, end) if wanted.after is not None else history.first_id(facts) - 1
        found = history.since(facts, at)
        shown = [event for event in found if wanted.takes(event)]
        if wanted.count is not None:
            shown = shown[len(shown) - wanted.count :] if wanted.count < len(shown) else shown
        yield self._gap(at, found)
        for begin in range(0, len(shown), SLICE):
            yield b"".join(map(self._event, shown[begin : begin + SLICE]))
        if wanted.follow:
            yield self._position(end)
            async with aclosing(self._new(end)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _new(self, at: int) -> AsyncGenerator[bytes, None]:
        """What happens after the event `at`, each once and in order."""
        wake = asyncio.Event()
        table: object = None

        def hear(facts: Facts) -> None:
            if facts.tables.get("events") is not table:
                wake.set()

        with self.mirror.listening(hear):
            while True:
                wake.clear()
                facts = self.mirror.facts
                table = facts.tables.get("events")
                if found := history.since(facts, at):
                    found, gap = found[:SLICE], self._gap(at, found)
                    taken = b"".join(self._event(event) for event in found if self.wanted.takes(event))
                    at = found[-1].id
                    if gap or taken:
                        yield gap + taken
                    continue
                try:
                    async with asyncio.timeout(self.beat):
                        await wake.wait()
                except TimeoutError:
                    yield self._beat(at)

    def _event(self, event: Event) -> bytes:
        return self._shown(event.kind, event.id, {name: getattr(event, name) for name in FIELDS})

    def _gap(self, at: int, found: Sequence[Event]) -> bytes:
        """What says that events are missing, if some are. (Who asks for all that is left misses none.)"""
        missing = found[0].id - at - 1 if found else 0
        return self._shown("lost", at + missing, {"kind": "lost", "after": at, "count": missing}) if missing else b""

    def _position(self, at: int) -> bytes:
        """Where the past ends, so that one whose connection breaks can go on."""
        return (
            b"id: %d\n\n" % at if self.form == EVENTS else self._shown("position", at, {"kind": "position", "id": at})
        )

    def _shown(self, name: str, id: int, value: dict[str, Any]) -> bytes:
        line = msgspec.json.encode(value)
        if self.form == EVENTS:
            return b"id: %d\nevent: %b\ndata: %b\n\n" % (id, name.encode(), line)
        return line + b"\n"

    def _beat(self, at: int) -> bytes:
        return b": beat\n\n" if self.form == EVENTS else b"\n"

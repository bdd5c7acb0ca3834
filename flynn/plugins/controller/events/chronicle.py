"""The leader's chronicle: it hears of every commit, and writes down what has happened by it.

Every node watches what is told, so that the next leader knows where the last one came to.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from flynn.core.brick import Context
from flynn.core.change import commit
from flynn.core.election import Claim
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts
from flynn.core.model import Event
from flynn.plugins.controller.events.derive import Known, begun, derive, last_of
from flynn.plugins.controller.events.heard import Heard
from flynn.plugins.controller.events.history import KEPT, newest, pages, surplus, written

GATHER = 0.4
"""Seconds from a change to its event: more of them are written at once, and what follows from the change is decided
and done first."""

PAUSE = 0.5
"""Seconds from one commit of events to the next: two in a second at most."""

LATEST = 10.0
"""Seconds that all this waits for a leader which has something to decide or to commit: placing comes first."""

RETRY = 1.0
"""Seconds until the next try after a store that did not answer."""

LOOK = 600.0
"""Seconds after which events that are too old are removed, though nothing happens."""

SLICE = 200
"""Changes since the last leader that are looked at before others get their turn."""


@dataclass(eq=False)
class Witness:
    """Keeps the newest photo of which it is sure that all in it was told. `note` hears of every photo."""

    _photos: deque[Facts] = field(default_factory=deque)
    _table: object = ""

    def note(self, facts: Facts) -> None:
        """Events of a photo's cursor follow photos that show the events before: those are kept, until they are told."""
        table = facts.tables.get("events")
        if table is self._table:
            return
        self._table = table
        last = newest(facts)
        self._photos.append(facts)
        while len(self._photos) > 1 and last and self._photos[1].revision <= last.revision:
            self._photos.popleft()

    def known(self, facts: Facts) -> Known:
        """What was told by whoever led before."""
        last = newest(facts)
        if last is None:  # not even where the history begins could be written yet
            return begun(self._photos[0] if self._photos else facts)
        if last.revision > facts.revision:  # The grid was moved to another store, which counts anew.
            start = self._photos[0] if self._photos else facts
            return Known(start, start.revision, last_of(pages(facts)))
        sure = self._photos[0] if self._photos and self._photos[0].revision <= last.revision else Facts()
        return Known(sure, last.revision, last_of(pages(facts)))


@dataclass(eq=False)
class Chronicle:
    """One term as the leader. `lost`: seconds that the jobs of a silent host wait for it. `rest` is set while there is
    nothing to place."""

    ctx: Context
    claim: Claim
    witness: Witness
    lost: float
    rest: asyncio.Event
    _heard: Heard = field(default_factory=Heard)
    _known: int = 0
    """The revision until which it was found out what happened."""

    _told: deque[Event] = field(default_factory=deque)
    _dropped: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Tell for ever. What cannot be written now is looked at again, from what is told by then."""
        while True:
            with self.ctx.mirror.listening(self._hear):
                try:
                    await self._go_on()
                    await self._write_for_ever()
                except (Conflict, Unavailable) as error:
                    self.ctx.log.info("events are told later: %s", error)
            await asyncio.sleep(RETRY)

    def _hear(self, facts: Facts) -> None:
        """One more commit: what happened by it is found out later."""
        self._heard.hear(facts, self.ctx.clock())
        self._wake.set()

    async def _find_out(self) -> None:
        """What happened by all that was heard until now."""
        for _ in range(len(self._heard)):
            before, facts, now = self._heard.next()
            self._add(event for event in derive(Known(before), facts, now, self.lost) if event)
            self._known = facts.revision
            await asyncio.sleep(0)

    def _add(self, events: Iterable[Event]) -> None:
        self._told.extend(events)
        while len(self._told) > KEPT:
            self._told.popleft()
            self._dropped += 1

    async def _go_on(self) -> None:
        """What happened after the last that was told, whoever told it. What happens meanwhile comes after that."""
        facts = self.ctx.mirror.facts
        self._heard.begin(facts)
        self._told, self._dropped, found = deque(), 0, []
        now = self.ctx.clock()
        for at, event in enumerate(derive(self.witness.known(facts), facts, now, self.lost)):
            if event is not None:
                found.append(event)
            if at % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        self._add(sorted(found, key=lambda event: event.time))
        self._known = facts.revision
        self._wake.set()

    async def _write_for_ever(self) -> None:
        clock = asyncio.get_running_loop().time
        looked = clock() - LOOK
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._wake.wait()
            await self._pause(GATHER)
            self._wake.clear()
            await self._find_out()
            if not self._told and clock() - looked < LOOK:
                continue
            if self.claim.held:
                looked = clock()
                await self._write()
            else:
                self._wake.set()  # It may be again, though nothing more happens.

    async def _write(self) -> None:
        """Write down what was heard. Conflict, Unavailable: some of it could not be."""
        here, now = self.ctx.mirror.facts, self.ctx.clock()
        told, dropped, self._told, self._dropped = list(self._told), self._dropped, deque(), 0
        if told or not here.events or surplus(pages(here), (), now):
            for change in written(here, told, self._known, now, dropped):
                await self.ctx.mirror.reach(await commit(self.ctx.store, here, change, self.claim.fence))
                await self._pause(PAUSE)
                await self._find_out()

    async def _pause(self, least: float) -> None:
        """So many seconds, and until the leader is at rest."""
        await asyncio.sleep(least)
        with suppress(TimeoutError):
            async with asyncio.timeout(LATEST):
                await self.rest.wait()

"""What it takes to begin a build, whichever way its source came: the tools on a shelf, room in the queue, its turn."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core import blobs, model
from flynn.core.builds import known_layers
from flynn.core.change import Change, carry_out
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.facts import Facts
from flynn.core.queue_room import check_room
from flynn.plugins.builder.git.building import MARK
from flynn.plugins.builder.start import AS_SET, Rules, Source, Supplies, begin, check_app

if TYPE_CHECKING:
    from flynn.core.brick import Context

SHELF = 30.0
"""Seconds to wait for the shelf to be registered."""


@dataclass(frozen=True)
class Beginning:
    """Begins builds with the tools packed in the file `kit`, which is `tools` on the shelf, by `rules`, where fewer
    than `waiting` builds wait for a host (0: any number)."""

    ctx: "Context"
    kit: Path
    tools: model.Artifact
    rules: Rules
    waiting: int

    def check(self, app: str) -> None:
        """What is known already to be in the way of a build. NotFound, Conflict, QueueFull."""
        check_app(self.ctx.mirror.facts, app)
        self._check_room(self.ctx.mirror.facts)

    async def ready(
        self, app: str, source: Source, mark: str = "build", how: model.Deploying = AS_SET
    ) -> tuple[str, Callable[[Facts], Change]]:
        """The job of a build, whose name has `mark` in it, and what begins it on a photo, or raises as `begin` and
        `check` do. Unavailable, Full: the tools cannot be put on a shelf."""
        return self._job(app, source, await self.supplies(app), mark, how)

    async def supplies(self, app: str) -> Supplies:
        """What a build of the app is to have. Unavailable, Full: the tools cannot be put on a shelf."""
        tools, gone = await asyncio.gather(self.shelve(), self._lost(app))
        return Supplies(tools.sha256, self.rules, gone)

    async def pushed(self, supplies: Supplies, app: str, source: Source) -> str:
        """Begin the build of what was pushed; its job."""
        id, begun = self._job(app, source, supplies, MARK, AS_SET)
        await carry_out(self.ctx.store, self.ctx.mirror, begun)
        return id

    def _job(
        self, app: str, source: Source, supplies: Supplies, mark: str, how: model.Deploying
    ) -> tuple[str, Callable[[Facts], Change]]:
        id = f"{app}-{mark}-{secrets.token_hex(4)}"

        def begun(facts: Facts) -> Change:
            self._check_room(facts)
            return begin(facts, app, id, source, supplies, self.ctx.clock(), how)

        return id, begun

    async def shelve(self) -> model.Artifact:
        """Have the tools on the shelf: they are put there again if something took them away. Unavailable, Full."""
        try:
            await self.ctx.mirror.until(lambda facts: any(not i.draining for i in facts.instances("shelf")), SHELF)
        except TimeoutError:
            raise Unavailable(f"no shelf came up within {SHELF:g} s; `flynn status` shows what is wrong") from None
        if not await blobs.is_near(self.ctx, self.tools.sha256):
            await blobs.store(self.ctx, self.kit, self.tools)
        return self.tools

    async def shelve_early(self) -> None:
        """Put the tools on the shelf now, so that the first build need not wait."""
        try:
            await self.shelve()
        except FlynnError as error:
            self.ctx.log.info("the build tools are not on the shelf yet (%s); the next build puts them there", error)

    def _check_room(self, facts: Facts) -> None:
        check_room(facts, "builders", self.waiting)

    async def _lost(self, app: str) -> set[str]:
        """The blobs of the app's layers that are on no shelf any more, as its disk went: to deploy again shall help."""
        return await blobs.missing(self.ctx, set(known_layers(self.ctx.mirror.facts, app).values()))

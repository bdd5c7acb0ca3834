"""Many packs of a repository made one, when enough pushes have come: what no ref leads to any more goes with that."""

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change, commit
from flynn.core.disk import room
from flynn.core.errors import FlynnError, Full
from flynn.core.room import words
from flynn.plugins.builder.git.packs import MANY, made_one, take_over
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.turn import turn

if TYPE_CHECKING:
    from pathlib import Path

    from flynn.core.election import Claim
    from flynn.plugins.builder.git.repositories import Local


LIMIT = 1200.0
"""Seconds that git may take for it: pushes of the app wait meanwhile, and for longer than this (`turn.TURN`)."""


async def consolidate(means: Means, app: str) -> None:
    """If it has MANY packs. What goes wrong is logged, and tried again when there are twice as many: these were too
    much for the time, or for the disk."""
    try:
        async with means.repositories.opened(app) as local, turn(means.ctx, local) as claim:
            async with local.lock:
                await means.repositories.bring(local)
            if len(local.known.packs) >= max(MANY, 2 * local.heavy) and not local.lost:
                await _consolidate(means, local, claim)
    except (FlynnError, OSError) as error:
        means.ctx.log.warning("the packs of %s stay as they are: %s", app, error)
    except Exception:  # Of one app, which shall not end the brick with all pushes.
        means.ctx.log.exception("the packs of %s stay as they are", app)


async def _consolidate(means: Means, local: "Local", claim: "Claim") -> None:
    """Fetches go on meanwhile; nobody else changes refs who has not the turn."""
    local.heavy = len(local.known.packs)
    _check_room(means, local)
    async with made_one(means.git, local.place, means.scratch, LIMIT) as folder, means.packs.keeping(folder) as keeping:
        packs = await keeping
        local.heavy = 0
        async with local.lock:
            await _replace(means, local, claim, folder, packs)


def _check_room(means: Means, local: "Local") -> None:
    """Full: another pack of all that there is would take what is to stay free."""
    size, free = sum(pack.size for pack in local.known.packs), room(means.scratch).free
    if free - size < means.reserve:
        raise Full(f"the disk has {words(free)} left, and they have {words(size)}")


async def _replace(means: Means, local: "Local", claim: "Claim", folder: "Path", packs: tuple[model.Pack, ...]) -> None:
    ctx, facts = means.ctx, means.ctx.mirror.facts
    known = facts.repositories.get(local.app)
    if not packs or known is None or known.packs != local.known.packs:
        return
    one: model.Repository = replace(known, packs=packs)
    change = Change({keys.repository(local.app): one}, seen=(keys.app(local.app),), why=f"one pack for {local.app}")
    await ctx.mirror.reach(await commit(ctx.store, facts, change, claim.fence))
    await asyncio.to_thread(take_over, folder, local.place, [pack.name for pack in packs])
    ctx.log.info("%d packs of %s became one", len(known.packs), local.app)

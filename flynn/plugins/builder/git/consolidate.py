"""Many packs of a repository made one, when enough pushes have come: what no ref leads to any more goes with that."""

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change, commit
from flynn.core.errors import FlynnError
from flynn.plugins.builder.git.packs import MANY, made_one, take_over
from flynn.plugins.builder.git.push import Means, turn

if TYPE_CHECKING:
    from flynn.core.election import Claim
    from flynn.plugins.builder.git.repositories import Local


async def consolidate(means: Means, app: str) -> None:
    """If it has MANY packs. What goes wrong is logged: the next push tries again."""
    try:
        async with means.repositories.opened(app) as local, turn(means.ctx, local) as claim:
            async with local.lock:
                await means.repositories.bring(local)
                if len(local.known.packs) >= MANY and not local.lost:
                    await _consolidate(means, local, claim)
    except (FlynnError, OSError) as error:
        means.ctx.log.warning("the packs of %s stay as they are: %s", app, error)
    except Exception:  # Of one app, which shall not end the brick with all pushes.
        means.ctx.log.exception("the packs of %s stay as they are", app)


async def _consolidate(means: Means, local: "Local", claim: "Claim") -> None:
    ctx, key = means.ctx, keys.repository(local.app)
    async with made_one(means.git, local.place, means.scratch) as folder, means.packs.keeping(folder) as kept:
        packs = await kept
        facts = ctx.mirror.facts
        known = facts.repositories.get(local.app)
        if not packs or known is None or known.packs != local.known.packs:
            return
        one: model.Repository = replace(known, packs=packs)
        change = Change({key: one}, seen=(keys.app(local.app),), why=f"one pack for {local.app}")
        await ctx.mirror.reach(await commit(ctx.store, facts, change, claim.fence))
        await asyncio.to_thread(take_over, folder, local.place, [pack.name for pack in packs])
        ctx.log.info("%d packs of %s became one", len(known.packs), local.app)

"""The turn: one push of an app at a time is decided, in the whole grid."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from flynn.core import keys, model
from flynn.core.election import Claim
from flynn.core.errors import Conflict, NotFound
from flynn.plugins.builder.git.building import turn_name
from flynn.plugins.builder.git.hook import Talk
from flynn.plugins.builder.git.repositories import Local
from flynn.plugins.builder.git.words import INDENT

if TYPE_CHECKING:
    from flynn.core.brick import Context

TURN = 1800.0
"""Seconds to wait for other pushes of the app."""


def is_taken(ctx: "Context", local: Local) -> bool:
    """Whether another push has it now, as far as this node knows."""
    holder = ctx.mirror.facts.get(keys.lock(turn_name(local.app)))
    return local.turn.locked() or (isinstance(holder, model.Leader) and holder.host != ctx.host)


@asynccontextmanager
async def turn(ctx: "Context", local: Local, talk: Talk | None = None) -> AsyncIterator[Claim]:
    """Be the only one in the grid who decides on a push of the app, for the length of a block. Conflict: the others
    take too long. NotFound: the app was deleted meanwhile."""
    if talk and is_taken(ctx, local):
        await talk.say(f"{INDENT}Waits for another push of {local.app} to end")
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(TURN):
                await stack.enter_async_context(local.turn)
                claim = await stack.enter_async_context(ctx.locked(turn_name(local.app), TURN))
        except TimeoutError:
            raise Conflict(f"other pushes of {local.app} have not ended within {TURN:g} s; push again later") from None
        if local.app not in ctx.mirror.facts.apps:
            raise NotFound(f"{local.app} was deleted meanwhile")
        yield claim

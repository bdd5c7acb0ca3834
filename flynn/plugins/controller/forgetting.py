"""What was done under Idempotency-Keys is forgotten after a day, or when there is too much of it; by the leader."""

import asyncio

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.change import Change, commit
from flynn.core.election import Claim
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts
from flynn.core.once import AGE

KEPT = 10_000
"""Keys that are remembered, the newest."""

PAUSE = 10.0
"""Seconds between two looks."""

AT_ONCE = 80
"""Keys of one commit."""


async def forget(ctx: Context, claim: Claim, pause: float = PAUSE) -> None:
    """Keep the table small, for as long as this node leads."""
    while True:
        facts = ctx.mirror.facts
        for change in forgotten(facts, ctx.clock()):
            try:
                await commit(ctx.store, facts, change, claim.fence)
            except (Conflict, Unavailable):
                break
        await asyncio.sleep(pause)


def forgotten(facts: Facts, now: float, kept: int = KEPT) -> list[Change]:
    """The changes that remove what is too old, and the oldest of what is too much."""
    ordered = sorted((done.time, name) for name, done in facts.idempotency.items())
    surplus = len(ordered) - kept
    old = [keys.idempotency(name) for at, (time, name) in enumerate(ordered) if at < surplus or now - time >= AGE]
    parts = [tuple(old[at : at + AT_ONCE]) for at in range(0, len(old), AT_ONCE)]
    return [Change(deletes=part, why=f"{len(part)} Idempotency-Keys are forgotten") for part in parts]

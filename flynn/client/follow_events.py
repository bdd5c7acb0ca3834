"""Events without end: a stream that breaks, or is silent for too long, is opened again where it was."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from flynn.client.wire import CONNECT
from flynn.core.errors import Unavailable
from flynn.core.records import Lines

if TYPE_CHECKING:
    from flynn.client.client import Client

RESUME = 30.0
"""Seconds that the grid is tried again after the stream broke."""

PAUSE = 0.5


async def follow_events(client: "Client", wanted: Mapping[str, str]) -> Lines:
    """Each event once. Unavailable: the grid did not answer at first, or did not come back within RESUME seconds."""
    now = asyncio.get_running_loop().time
    place: dict[str, str] = {}
    reached = 0.0
    while True:
        begun = now()
        try:
            async with aclosing(client.events({**wanted, **place, "follow": "true"})) as lines:
                async for line in lines:
                    reached = now()
                    if line["kind"] == "lost":
                        place = {"after": str(line["after"] + line["count"]), "n": ""}
                    else:
                        place = {"after": str(line["id"]), "n": ""}
                    yield line
        except Unavailable:
            if now() - begun > 2 * CONNECT:  # so long it was open, only silent
                reached = now()
            if now() - reached > RESUME:
                raise
        await asyncio.sleep(PAUSE)

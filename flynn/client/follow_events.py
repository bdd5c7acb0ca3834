"""Events without end: a stream that breaks, or is silent for too long, is opened again where it was."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from flynn.client.patience import PAUSE, Patience
from flynn.core.errors import Unavailable
from flynn.core.records import Lines

if TYPE_CHECKING:
    from flynn.client.client import Client


async def follow_events(client: "Client", wanted: Mapping[str, str]) -> Lines:
    """Each event once. Unavailable: the grid did not answer at first, or did not come back within RESUME seconds."""
    place, patience = dict[str, str](), Patience()
    while True:
        patience.opens()
        try:
            async with aclosing(client.events({**wanted, **place, "follow": "true"})) as lines:
                async for line in lines:
                    patience.hears()
                    if line["kind"] == "lost":
                        place = {"after": str(line["after"] + line["count"]), "n": ""}
                    else:
                        place = {"after": str(line["id"]), "n": ""}
                    yield line
        except Unavailable as error:
            patience.check(error)
        await asyncio.sleep(PAUSE)

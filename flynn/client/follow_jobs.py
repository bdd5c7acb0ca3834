"""The jobs of an app without end: the list, then each change; a stream that breaks is opened again where it was."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from flynn.client.patience import PAUSE, Patience
from flynn.core.errors import Unavailable
from flynn.core.records import Lines

if TYPE_CHECKING:
    from flynn.client.client import Client


async def follow_jobs(client: "Client", app: str, all: bool = False) -> Lines:
    """Lines of a watched list (docs/api.md). Unavailable: the grid did not answer at first, or did not come back within
    RESUME seconds."""
    revision, patience = "", Patience()
    while True:
        patience.opens()
        try:
            async with aclosing(client.watch_jobs(app, all, revision)) as lines:
                async for line in lines:
                    patience.hears()
                    revision = str(line.get("revision", revision))
                    yield line
                    if line["kind"] == "done":
                        return
        except Unavailable as error:
            patience.check(error)
        await asyncio.sleep(PAUSE)

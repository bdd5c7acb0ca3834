"""The jobs of an app without end: the list, then each change; a stream that breaks is opened again where it was."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from flynn.client.follow_events import PAUSE, RESUME
from flynn.client.wire import CONNECT
from flynn.core.errors import Unavailable
from flynn.core.records import Lines

if TYPE_CHECKING:
    from flynn.client.client import Client


async def follow_jobs(client: "Client", app: str, all: bool = False) -> Lines:
    """Lines of a watched list (docs/api.md). Unavailable: the grid did not answer at first, or did not come back within
    RESUME seconds."""
    now = asyncio.get_running_loop().time
    revision, reached = "", 0.0
    while True:
        begun = now()
        try:
            async with aclosing(client.watch_jobs(app, all, revision)) as lines:
                async for line in lines:
                    reached = now()
                    revision = str(line.get("revision", revision))
                    yield line
                    if line["kind"] == "done":
                        return
        except Unavailable:
            if now() - begun > 2 * CONNECT:  # so long it was open, only silent
                reached = now()
            if now() - reached > RESUME:
                raise
        await asyncio.sleep(PAUSE)

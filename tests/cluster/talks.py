"""Single connections through a grid's router, watched byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.grid import Grid
from tests.router.rig import Talk

HOST = "hello.flynn.localhost"

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


@asynccontextmanager
async def talking(grid: Grid, path: str, *fields: str) -> AsyncIterator[Talk]:
    """A request on a connection of its own, sent."""
    talk = Talk(*await asyncio.open_connection("127.0.0.1", grid.http_port))
    try:
        head = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {HOST}", *fields])
        await talk.send(f"{head}\r\n\r\n".encode())
        yield talk
    finally:
        await talk.close()

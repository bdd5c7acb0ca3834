"""The shelf: keeps slugs and images of the grid on this machine's disk, each named by the SHA-256 of its bytes.

A small brick, good to read first: it opens what it needs, adds its routes to the node API, registers itself so that
others find it, says one sentence, and waits until it is told to stop.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec

from flynn.core.brick import Context
from flynn.core.room import share
from flynn.plugins.shelf.api import BlobApi
from flynn.plugins.shelf.disk import open_disk
from flynn.plugins.shelf.near import Near
from flynn.plugins.shelf.sweeping import sweeping


class ShelfConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`limit`: MiB that one blob may have. `space`: MiB that all may have together. `reserve`: MiB of the disk that no
    blob takes (0: 512, or a twentieth of a smaller disk). `unused`: seconds after which a blob of the grid's own goes
    that no record names and nobody asks for (0: none does).

    `directory` is where they are kept; the brick's own directory in the daemon's data unless told.
    """

    limit: int = 2048
    space: int = 51200
    reserve: int = 0
    directory: str = ""
    unused: Annotated[float, msgspec.Meta(ge=0)] = 86400.0


class Shelf:
    """Answers for `/v1/blobs` on the node API and is an instance of the service `shelf`."""

    name = "shelf"
    Config = ShelfConfig

    def __init__(self, config: ShelfConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        root = Path(self.config.directory or ctx.data)
        limit, space = self.config.limit << 20, self.config.space << 20
        swept = 0
        async with open_disk(root, limit, space, lambda disk: share(self.config.reserve, 512, 20, disk.size)) as store:

            def tell() -> None:
                ctx.say(f"keeps {store.usage}" + (f"; {swept} unused removed" if swept else ""))

            def count(gone: int) -> None:
                nonlocal swept
                swept += gone
                tell()

            with ctx.web.serving(*BlobApi(store, tell).routes()), ctx.offering_shelf(Near(store, tell)):
                async with ctx.registered("shelf"), asyncio.TaskGroup() as group:
                    tell()
                    ctx.ready()
                    sweeper = group.create_task(sweeping(ctx, store, self.config.unused, count), name="shelf sweep")
                    await ctx.stopping.wait()
                    sweeper.cancel()

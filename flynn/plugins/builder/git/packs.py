"""Packs on the shelf: what a push brings is kept there; what no record names any more is taken away."""

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from flynn.core import blobs, model
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.facts import Facts
from flynn.plugins.builder.git import layout
from flynn.plugins.builder.git.beside import beside
from flynn.plugins.builder.git.program import Git

if TYPE_CHECKING:
    from flynn.core.brick import Context

NAME = re.compile(r"pack-([0-9a-f]{40}|[0-9a-f]{64})\.pack")

MANY = 24
"""Packs that a repository has until they are made one."""

After = Callable[[], Awaitable[object]]
"""Waits for the moment at which there is time for it."""

DELETE = aiohttp.ClientTimeout(total=10)


class Packs:
    """What this node puts on the shelf. `pending` is a directory that names what no record names yet: a daemon that is
    killed in between takes it away when it starts again."""

    def __init__(self, ctx: "Context", pending: Path) -> None:
        self._ctx, self._pending = ctx, pending
        self._kept: Counter[str] = Counter()

    @asynccontextmanager
    async def keeping(
        self, folder: Path, after: After | None = None
    ) -> AsyncIterator["asyncio.Task[tuple[model.Pack, ...]]"]:
        """The packs in a directory, while they are put on the shelf, once `after` has ended. After the block those go
        that no record names. The task raises Full, Unavailable: also where the files go meanwhile."""
        names: list[str] = []
        try:
            async with beside(self._keep_all(folder, names, after), "packs to the shelf") as task:
                yield task
        finally:
            self._kept.subtract(names)
            self._kept = +self._kept
            await self.discard(names)

    async def _keep_all(self, folder: Path, names: list[str], after: After | None) -> tuple[model.Pack, ...]:
        if after:
            await after()
        found = []
        try:
            for path in sorted(await asyncio.to_thread(lambda: list(folder.glob("pack-*.pack")))):
                if match := NAME.fullmatch(path.name):
                    found.append(await self._keep(match[1], path, names))
        except FileNotFoundError:  # git has tidied up.
            raise Unavailable("its pusher left before all of it was on the shelf") from None
        return tuple(found)

    async def _keep(self, name: str, path: Path, names: list[str]) -> model.Pack:
        index, size, blobs_ = path.with_suffix(".idx"), 0, []
        for file in (path, index):
            blob = await blobs.name(file)
            self._kept[blob.sha256] += 1
            names.append(blob.sha256)
            (self._pending / blob.sha256).touch()
            await blobs.store(self._ctx, file, blob)
            blobs_.append(blob.sha256)
            size += blob.size
        return model.Pack(name=name, pack=blobs_[0], index=blobs_[1], size=size)

    async def again(self, folder: Path, packs: Iterable[model.Pack]) -> None:
        """Have on the shelf what was put there from a directory: another node, to which the same was pushed for another
        app, may have taken it away since. Full, Unavailable."""
        files = {(pack.pack, "pack"): pack.name for pack in packs} | {(pack.index, "idx"): pack.name for pack in packs}
        gone = await blobs.missing(self._ctx, [blob for blob, _ in files])
        for (blob, ending), name in files.items():
            if blob in gone:
                with contextlib.suppress(FileNotFoundError):  # Its pusher has left, and git has tidied up.
                    await blobs.store(self._ctx, folder / f"pack-{name}.{ending}")

    async def discard(self, names: Iterable[str]) -> None:
        """Take blobs off all shelves, but for those that a record names, or a push has that is under way. What fails
        stays there, and is said."""
        used = blobs_of(self._ctx.mirror.facts)
        for name in dict.fromkeys(names):
            if self._kept[name]:
                continue
            if name not in used:
                await self._delete(name)
            (self._pending / name).unlink(missing_ok=True)

    async def collect(self) -> None:
        """For ever: take away what was named by a record, and is so no more; at first what a killed daemon left."""
        await self.discard(path.name for path in self._pending.iterdir())
        before = self._ctx.mirror.facts
        async for facts in self._ctx.mirror.photos():
            if facts.repositories is not before.repositories:
                await self.discard(blobs_of(before) - blobs_of(facts))
            before = facts

    async def _delete(self, name: str) -> None:
        with contextlib.suppress(FlynnError):
            for url in self._ctx.find_all("shelf"):
                try:
                    async with self._ctx.http.delete(f"{url}/v1/blobs/{name}", timeout=DELETE):
                        pass
                except (aiohttp.ClientError, TimeoutError) as error:
                    self._ctx.log.info("the pack %s could not be taken off the shelf at %s: %s", name[:12], url, error)


def blobs_of(facts: Facts) -> set[str]:
    """The blobs that repositories have."""
    return {blob for known in facts.repositories.values() for pack in known.packs for blob in (pack.pack, pack.index)}


@asynccontextmanager
async def made_one(git: Git, place: Path, scratch: Path, limit: float) -> AsyncIterator[Path]:
    """A directory with one pack of all that the refs of a repository lead to. GitFailed; Unavailable: it takes over
    `limit` seconds."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    words = ("pack-objects", "--revs", "--all", "--delta-base-offset", "-q", str(folder / "pack"))
    try:
        await git.output(place, *words, limit=limit)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def take_over(folder: Path, place: Path, names: Collection[str]) -> None:
    """Move packs of a directory into a repository."""
    for name in names:
        for ending in ("pack", "idx"):
            os.replace(folder / f"pack-{name}.{ending}", layout.pack_path(place, name, ending))

"""Bare repositories on this node's disk: what the shelf has, brought here when it is needed, and dropped for room."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core import blobs, keys, model
from flynn.core.errors import Full, NotFound, Unavailable
from flynn.core.previews import previews_of
from flynn.plugins.builder.git import layout
from flynn.plugins.builder.git.rules import HEADS, USUAL, beside, standing

if TYPE_CHECKING:
    from flynn.core.brick import Context
    from flynn.plugins.builder.git.advertise import Said

TRIES = 3
"""Times that the packs are asked for which the grid knows of then."""


@dataclass(eq=False)
class Local:
    """The repository of an app on this disk. `known` is what it is brought to: the record, or none of its refs if the
    shelf has `lost` a pack of them. It has `grown` if packs came to this disk. `turn` is held by the push that is being
    decided, `lock` while refs change."""

    app: str
    place: Path
    known: model.Repository
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    uses: int = 0
    used: float = 0.0
    lost: bool = False
    grown: bool = False
    heavy: int = 0
    """Packs that could not be made one."""

    advertised: "dict[str, Said]" = field(default_factory=dict)
    """What services told git last."""


class Repositories:
    """All of this node, under `root`. `space`: bytes that those may have together that nobody uses now; `limit`: bytes
    of one push; `reserve`: bytes of the disk that stay free."""

    def __init__(self, ctx: "Context", root: Path, space: int, limit: int, reserve: int) -> None:
        self._ctx, self._root, self._space, self._limit, self._reserve = ctx, root, space, limit, reserve
        self._known: dict[str, Local] = {}
        self.hooks = root / "hooks"

    def prepare(self) -> None:
        """Make what all need. Blocks: call it in a thread."""
        layout.write_hooks(self.hooks)

    @asynccontextmanager
    async def opened(self, app: str) -> AsyncIterator[Local]:
        """The repository as the grid knows it now, for the length of a block. Full, Unavailable."""
        local = self._local(app)
        async with self.using(local):
            async with local.lock:
                await self.bring(local)
            yield local
        if local.grown:
            local.grown = False
            await self._tidy()

    @asynccontextmanager
    async def using(self, local: Local) -> AsyncIterator[None]:
        """Keep it where it is, for the length of a block."""
        local.uses += 1
        try:
            yield
        finally:
            local.uses -= 1
            if not local.uses:
                local.used = self._ctx.clock()
                async with local.lock:
                    if not local.uses:
                        await asyncio.to_thread(layout.sweep, local.place)

    def _local(self, app: str) -> Local:
        """Always the same for an app: there is one turn, and one lock."""
        return self._known.setdefault(app, Local(app, self._root / f"{app}.git", model.Repository(app=app)))

    async def bring(self, local: Local) -> None:
        """Bring it to what the grid knows of it now. The caller holds `local.lock`. Full, Unavailable."""
        try:
            await self._bring(local)
        except OSError as error:
            raise Full(
                f"the repository of {local.app} cannot be written on this node: {error.strerror or error}"
            ) from None

    async def _bring(self, local: Local) -> None:
        for _ in range(TRIES):
            local.known = await self._record(local.app)
            lacking = await asyncio.to_thread(self._settled, local)
            try:
                await self._fetch(local, lacking)
                local.lost = False
                break
            except NotFound:
                local.lost = True
                if (await self._record(local.app)).packs == local.known.packs:  # Not made one meanwhile.
                    break
        if local.lost:
            local.known = model.Repository(app=local.app, branch=local.known.branch)
        if lacking:
            await asyncio.to_thread(_settle, local)

    async def _record(self, app: str) -> model.Repository:
        """As the store has it: who pushes may have learnt of the last push from another node."""
        item = await self._ctx.store.get(keys.repository(app))
        facts = await self._ctx.mirror.reach(item.revision) if item else self._ctx.mirror.facts
        record = facts.repositories.get(app) or model.Repository(app=app)
        if not record.previews:
            return record
        return standing(record, {branch: one.created for branch, one in previews_of(facts, app).items()})

    def _settled(self, local: Local) -> tuple[model.Pack, ...]:
        """The packs that it lacks; if none, its refs are those that are known."""
        self._check_hooks()
        layout.prepare(local.place, self.hooks, self._limit)
        there, known = layout.packs(local.place), {pack.name: pack.size for pack in local.known.packs}
        if local.uses == 1:
            layout.sweep(local.place)
            for name in there.keys() - known:
                layout.drop_pack(local.place, name)
        lacking = tuple(pack for pack in local.known.packs if there.get(pack.name) != pack.size)
        if not lacking:
            _settle(local)
        return lacking

    def _check_hooks(self) -> None:
        """Unavailable: git would not ask whether a push may be."""
        if not layout.hooks_run(self.hooks):
            layout.write_hooks(self.hooks)
            if not layout.hooks_run(self.hooks):
                raise Unavailable(f"no program may run in {self.hooks} of this node, as git's hooks must (noexec?)")

    async def _fetch(self, local: Local, lacking: Iterable[model.Pack]) -> None:
        for pack in lacking:  # The index comes last: by it git sees the pack.
            local.grown = True
            for blob, ending in ((pack.pack, "pack"), (pack.index, "idx")):
                path = layout.pack_path(local.place, pack.name, ending)
                await blobs.fetch(self._ctx, blob, path, leave=self._reserve)

    async def _tidy(self) -> None:
        """Drop repositories that nobody uses: those of deleted apps, and past `space` those used longest ago."""
        room = self._space
        sizes = await asyncio.to_thread(_sizes, self._root)
        for local in sorted(map(self._local, sizes), key=lambda local: local.used, reverse=True):
            if local.app in self._ctx.mirror.facts.apps and sizes[local.app] <= room:
                room -= sizes[local.app]
                continue
            async with local.lock:
                if not local.uses:
                    await asyncio.to_thread(shutil.rmtree, local.place, ignore_errors=True)


def _settle(local: Local) -> None:
    head = HEADS + (local.known.branch or USUAL[0])
    layout.write_refs(local.place, head, beside(local.known.refs, head), local.known.shallow)


def _sizes(root: Path) -> dict[str, int]:
    """The repositories that are on this disk, by app, and their bytes."""
    return {path.stem: _size(path) for path in root.glob("*.git")}


def _size(path: Path) -> int:
    try:
        with os.scandir(path / "objects/pack") as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0

"""The layers of jobs: blobs fetched from the shelf once, unpacked once, shared by all jobs of this host. What was built
here need not be fetched."""

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from flynn.core import blobs
from flynn.core.brick import Context
from flynn.core.disk import NO_ROOM
from flynn.core.errors import Full, Invalid, Unavailable
from flynn.plugins.host.backends.identity import boot_id
from flynn.plugins.host.disk.budget import Kept
from flynn.plugins.host.disk.removal import GONE, take_away
from flynn.plugins.host.race import begun
from flynn.plugins.host.trees import remove_tree, walk
from flynn.plugins.host.unpack import unpack

PATIENCE = 30.0
"""Seconds for which a shelf that does not answer is tried again (a grid that comes back all at once)."""

AT_ONCE = 2
"""Layers unpacked at the same time."""


@dataclass(frozen=True)
class Layer:
    """One that is unpacked: its bytes, and when it was last asked for."""

    sha256: str
    size: int
    used: float


def surplus(layers: Iterable[Layer], needed: Collection[str], limit: int) -> list[str]:
    """Which to remove, least recently used first, so that all take `limit` bytes; those needed are never removed."""
    layers = sorted(layers, key=lambda layer: (layer.used, layer.sha256))
    excess = sum(layer.size for layer in layers) - limit
    removed = []
    for layer in layers:
        if excess > 0 and layer.sha256 not in needed:
            removed.append(layer.sha256)
            excess -= layer.size
    return removed


class Layers:
    """Unpacked blobs in `root/<sha256>/tree`. `needed()` names those that jobs use now; `limit` in bytes.

    `leave()`: bytes of the disk that stay free while one is fetched and unpacked.
    """

    kind = "layer"

    def __init__(
        self,
        ctx: Context,
        root: Path,
        limit: int,
        needed: Callable[[], Collection[str]],
        tasks: asyncio.TaskGroup,
        leave: Callable[[], int] = lambda: 0,
    ) -> None:
        self.ctx, self.root, self.limit, self.needed, self.tasks = ctx, root, limit, needed, tasks
        self.leave = leave
        self._coming: dict[str, asyncio.Task[Path | Exception | None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def get(self, sha256: str) -> Path:
        """The unpacked tree of a blob, fetched if need be. NotFound, Invalid, TooLarge, Full, Unavailable."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise Invalid(f"{sha256[:80]!r} names no blob; a layer is named by its SHA-256 digest")
        home = self.root / sha256
        if sha256 not in self._coming and (home / "size").is_file():
            os.utime(home / "size")
            return home / "tree"
        while not (found := await asyncio.shield(self._coming.get(sha256) or self._begin(sha256, fetch=True))):
            pass  # What was offered is no good, or there was no room for it at that moment.
        if isinstance(found, Exception):
            raise found
        return found

    def offer(self, sha256: str, packed: Path) -> None:
        """Begin to unpack a blob from the file `packed`, which is it and is not written to any more: it was made here,
        and is likely to be asked for soon. The file may go at once. Where it lies on another disk nothing is begun."""
        if sha256 in self._coming or (self.root / sha256 / "size").is_file():
            return
        with contextlib.suppress(OSError):
            os.link(packed, self._packed(sha256), follow_symlinks=False)
            self._begin(sha256, fetch=False)

    def _begin(self, sha256: str, fetch: bool) -> "asyncio.Task[Path | Exception | None]":
        coming = begun(self.tasks, self._guarded(sha256, fetch), f"layer {sha256[:12]}")
        self._coming[sha256] = coming
        coming.add_done_callback(lambda _: self._coming.pop(sha256, None))
        return coming

    async def _guarded(self, sha256: str, fetch: bool) -> Path | Exception | None:
        """What came of it, for all who wait: an error shall not end the agent's other tasks. None: it is to be fetched,
        as what was offered could not be unpacked."""
        try:
            return await self._made(sha256, fetch)
        except Exception as error:
            if fetch:
                return error
            self.ctx.log.info("the layer %s cannot be had from what was made here: %s", sha256[:12], error)
            return None

    def _packed(self, sha256: str) -> Path:
        return self.root / f"{sha256}.tgz"

    async def _made(self, sha256: str, fetch: bool) -> Path:
        packed = self._packed(sha256)
        home, partial = self.root / sha256, self.root / f"{sha256}.part"
        try:
            async with self._slots:
                if fetch:
                    await self._download(sha256, packed)
                await asyncio.to_thread(_install, packed, partial, home, self.leave())
        finally:
            packed.unlink(missing_ok=True)
        await self.trim()
        return home / "tree"

    async def _download(self, sha256: str, packed: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await blobs.fetch(self.ctx, sha256, packed, self.leave(), lasts=False)
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.5)

    async def trim(self) -> None:
        """Remove what is over the limit and used by no job."""
        layers = await asyncio.to_thread(_present, self.root)
        for sha256 in surplus(layers, {*self.needed(), *self._coming}, self.limit):
            await self.drop(sha256)

    async def present(self) -> list[Kept]:
        """All that are unpacked."""
        found = await asyncio.to_thread(_present, self.root)
        return [Kept(self.kind, layer.sha256, layer.size, layer.used) for layer in found]

    def is_used(self, sha256: str) -> bool:
        return sha256 in self._coming or sha256 in self.needed()

    async def drop(self, sha256: str) -> None:
        """Remove one, unless a job has begun to use it."""
        if not self.is_used(sha256) and (gone := take_away(self.root / sha256)):
            await asyncio.to_thread(remove_tree, gone)


def prepare(root: Path, boot: str) -> None:
    """Make the directory, without what an earlier daemon left half done, or a power cut. `boot`: the machine's
    `boot_id`."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in root.iterdir():
        if path.name.startswith(GONE) or path.name.endswith(".part") or not _is_whole(path, boot):
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)


def _install(packed: Path, partial: Path, home: Path, leave: int) -> None:
    """Unpack aside, then give it its name. Full, and what `unpack` says."""
    remove_tree(partial)
    try:
        size = unpack(packed, partial / "tree", leave=leave)
        (partial / "size").write_text(f"{size} {boot_id()}")
        os.rename(partial, home)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Full(f"the archive cannot be unpacked to {home.parent}: {error.strerror}") from None
    finally:
        remove_tree(partial)


def _is_whole(home: Path, boot: str) -> bool:
    """Whether all of it is there. A machine that lost its power may have kept the names of files whose bytes had not
    come to the disk: nobody waits for that when one is unpacked, so it is looked at once after each boot."""
    mark = home / "size"
    try:
        size, _, booted = mark.read_text().partition(" ")
        if booted == boot:
            return True
        if int(size) != _bytes(home / "tree"):
            return False
        used = mark.stat()
        mark.write_text(f"{size} {boot}")
        os.utime(mark, ns=(used.st_atime_ns, used.st_mtime_ns))
    except (OSError, ValueError):
        return False
    return True


def _bytes(tree: Path) -> int:
    """The bytes of all files, each once, however many names it has."""
    found = {}
    for folder, names in walk(tree):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode):
                found[status.st_ino] = status.st_size
    return sum(found.values())


def _present(root: Path) -> list[Layer]:
    found = []
    for path in root.iterdir():
        try:
            mark = path / "size"
            found.append(Layer(path.name, int(mark.read_text().partition(" ")[0]), mark.stat().st_mtime))
        except (OSError, ValueError):
            continue
    return found

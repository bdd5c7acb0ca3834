"""The caches of builds on this host: directories that jobs of one app find again, by their names."""

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

from flynn.core.builds import CACHE
from flynn.plugins.host.disk.budget import Kept
from flynn.plugins.host.disk.removal import take_away
from flynn.plugins.host.trees import remove_tree, walk


class Caches:
    """Directories below `root`. `needed()`: the names of those that jobs use now. `known()`: the names of those of all
    apps; None: that is not known for sure."""

    kind = "cache"

    def __init__(
        self,
        root: Path,
        needed: Callable[[], Collection[str]],
        known: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:
        self.root, self.needed, self.known = root, needed, known
        self._sizes: dict[str, int] = {}

    async def present(self) -> list[Kept]:
        """All of them. One is measured again only once a job has used it. Those of apps that are gone go: another app
        of the name shall not find what they had."""
        await self._forget()
        used = {name: self._sizes.pop(name, 0) for name in self.needed()}
        found = await asyncio.to_thread(_present, self.root, dict(self._sizes), used)
        self._sizes = {one.name: one.size for one in found if one.name not in self.needed()}
        return found

    async def _forget(self) -> None:
        known = self.known()
        if known is None or not self.root.is_dir():
            return
        for name in os.listdir(self.root):
            if name.startswith(CACHE) and name not in known:
                await self.drop(name)

    def is_used(self, name: str) -> bool:
        return name in self.needed()

    async def drop(self, name: str) -> None:
        """Remove one, unless a job uses it."""
        if not self.is_used(name) and (gone := take_away(self.root / name)):
            await asyncio.to_thread(remove_tree, gone)


def _present(root: Path, known: dict[str, int], used: dict[str, int]) -> list[Kept]:
    found = []
    for entry in os.scandir(root) if root.is_dir() else ():
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            size = known.get(entry.name, used.get(entry.name))
            size = _size(entry.path) if size is None else size
            found.append(Kept(Caches.kind, entry.name, size, entry.stat(follow_symlinks=False).st_mtime))
    return found


def _size(path: str) -> int:
    """Bytes of disk that a tree takes, as far as it can be seen."""
    size = 0
    for folder, names in walk(Path(path)):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return size

"""The eye on the host's disk: what is not needed goes before it is full, and no new job starts once it nearly is.

Nor does one where hardly a file can be opened any more, or a process begun.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from flynn.core.disk import room
from flynn.core.room import Room
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.disk import removal
from flynn.plugins.host.disk.budget import Kept, Marks, budget, excess, is_below, marks, to_go, trouble
from flynn.plugins.host.logs import logtidy
from flynn.plugins.host.trees import remove_tree
from flynn.plugins.host.usage import openfiles, processcount

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at how much is free."""

TIDY = 20.0
"""Seconds between two looks at what is kept; sooner when there is little room."""


class Stock(Protocol):
    """Things of one kind that are kept on disk and can be had again."""

    kind: str
    root: Path

    async def present(self) -> list[Kept]:
        """All of them."""

    def is_used(self, name: str) -> bool:
        """Whether a job uses it now."""

    async def drop(self, name: str) -> None:
        """Remove one, unless a job has begun to use it."""


class DiskWatch:
    """`full` says why no new job may start ("": one may); `changed` is called when it says something else.

    `data`: the agent's directory. `jobs()`: those whose directories are not to be removed.
    """

    def __init__(
        self,
        data: Path,
        config: HostConfig,
        stocks: Sequence[Stock],
        jobs: Callable[[], Collection[str]],
        changed: Callable[[], None],
    ) -> None:
        self.data, self.config, self.stocks, self.jobs, self.changed = data, config, stocks, jobs, changed
        self.full = self._disk = self._files = self._processes = ""
        self._marks = Marks(0)
        self._others = 0
        self._tidied = 0.0

    @property
    def leave(self) -> int:
        """Bytes that what is unpacked leaves free, while it may still be: the rest of the reserve is for jobs."""
        return self._marks.free // 2

    async def begin(self) -> None:
        """Know how it is before anything is told. OSError: the disk is broken."""
        self.full = await self._trouble(await self.look())

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self.once()
            except OSError as error:
                log.warning("the disk of %s cannot be looked at: %s", self.data, error.strerror)
            await asyncio.sleep(LOOK)

    async def once(self) -> None:
        """One look, and what follows from it. OSError: the disk is broken."""
        found = await self.look()
        now = asyncio.get_running_loop().time()
        if is_below(found, self._marks.eased) or now >= self._tidied + TIDY:
            if now >= self._tidied + TIDY:
                await self._clear()
                self._tidied = now
            await self._tidy(found)
            found = await self.look()
        full = await self._trouble(found)
        if full != self.full:
            log.warning("%s: no new job starts", full) if full else log.info("there is room again: jobs start")
            self.full = full
            self.changed()

    async def look(self) -> Room:
        """What is free now. OSError as above."""
        found = await asyncio.to_thread(room, self.data)
        self._marks = marks(found, self.config.disk_reserve)
        return found

    async def _trouble(self, found: Room) -> str:
        self._disk = trouble(found, self._marks, self._disk)
        self._files = openfiles.trouble(await asyncio.to_thread(openfiles.seen), self._files)
        self._processes = processcount.trouble(await asyncio.to_thread(processcount.seen), self._processes)
        return self._disk or self._files or self._processes

    async def _tidy(self, found: Room) -> None:
        """Remove of what no job uses as much as there is too much of."""
        stocks = {stock.kind: stock for stock in self.stocks}
        kept = [one for stock in self.stocks for one in await stock.present()]
        total = sum(one.size for one in kept) + self._others
        over = excess(found, self._marks, total, budget(found, self.config.disk_budget))
        for one in to_go([one for one in kept if not stocks[one.kind].is_used(one.name)], over):
            log.info("the %s %s is removed, to have room on the disk", one.kind, one.name[:12])
            await stocks[one.kind].drop(one.name)

    async def _clear(self) -> None:
        """Remove what nobody knows any more; and count the logs."""
        for stock in self.stocks:
            await asyncio.to_thread(removal.finish, stock.root)
        there = await asyncio.to_thread(_names, self.data / "jobs")
        for name in there - set(self.jobs()):
            log.info("the directory of %s, which is no job any more, is removed", name)
            await asyncio.to_thread(remove_tree, self.data / "jobs" / name)
        files = await asyncio.to_thread(logtidy.found, self.data / "logs")
        self._others = sum(file.size for file in files)


def _names(dir: Path) -> set[str]:
    return {path.name for path in dir.iterdir() if path.is_dir() and not path.is_symlink()} if dir.is_dir() else set()

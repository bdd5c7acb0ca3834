"""Who has which volume on this host, so that one with one writer has one here as well, whatever the grid believes."""

import asyncio
from collections.abc import Callable, Iterator

from flynn.core.model import Job, Mount
from flynn.plugins.host.backends.backend import NotStarted

PATIENCE = 600.0
"""Seconds that a job waits for the one before it to be done with a volume."""


class Holders:
    """`patience` in seconds, as above."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._held: dict[str, tuple[Mount, ...]] = {}
        self._left = asyncio.Event()

    def keep(self, job: Job) -> None:
        """It has its volumes already: its process runs."""
        self._held[job.id] = job.mounts

    async def take(self, job: Job, say: Callable[[str], None]) -> None:
        """Have them, once nobody else writes to what this one writes to. `say`: why it waits, and "" when it does not
        any more. NotStarted: it waited for too long."""
        waited = ""
        try:
            async with asyncio.timeout(self.patience):
                while why := next(self._writers(job), ""):
                    if why != waited:
                        say(f"waits: {why}")
                    waited = why
                    await self._left.wait()
        except TimeoutError:
            raise NotStarted(f"waited for over {self.patience:g} s: {waited}") from None
        if waited:
            say("")
        self.keep(job)

    def leave(self, job: Job) -> None:
        """It is done with them."""
        if self._held.pop(job.id, None):
            self._left.set()
            self._left = asyncio.Event()

    def uses(self, id: str) -> bool:
        """Whether any job has the volume of this id."""
        return any(mount.id == id for mounts in self._held.values() for mount in mounts)

    def _writers(self, job: Job) -> Iterator[str]:
        mine = {mount.id: mount.volume for mount in job.mounts if mount.one_writer}
        for other, mounts in self._held.items():
            for mount in mounts:
                if other != job.id and mount.one_writer and mount.id in mine:
                    yield f"its volume {mount.volume} is still written to by {other}"

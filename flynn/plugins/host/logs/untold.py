"""What could not be written to a log because the disk was full, told in it once there is room again."""

import asyncio
from collections.abc import Awaitable, Callable

RETRY = 2.0
"""Seconds between two tries."""


class Untold:
    """`note(app, text)` writes the agent's word to an app's log; OSError: it cannot now."""

    def __init__(self, note: Callable[[str, str], Awaitable[None]]) -> None:
        self._note = note
        self._lost: dict[str, dict[str, int]] = {}
        self._wake = asyncio.Event()

    def add(self, app: str, job: str, size: int) -> None:
        """A job has ended, and `size` bytes of what it printed are lost with it."""
        jobs = self._lost.setdefault(app, {})
        jobs[job] = jobs.get(job, 0) + size
        self._wake.set()

    async def run(self) -> None:
        """Tell of it, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._lost:
                for app in list(self._lost):
                    await self._tell(app)
                if self._lost:
                    await asyncio.sleep(RETRY)

    async def _tell(self, app: str) -> None:
        jobs = dict(self._lost[app])
        names = ", ".join(sorted(jobs)[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
        try:
            await self._note(app, f"{sum(jobs.values())} bytes of {names} were dropped: the disk was full at the end")
        except OSError:
            return
        left = {job: size for job, size in self._lost.pop(app).items() if job not in jobs}
        if left:
            self._lost[app] = left

"""How late the event loop runs: the sign that something blocks it (law 6)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

INTERVAL = 0.1
"""Seconds between two samples."""


@dataclass(eq=False)
class LoopLag:
    """The last minute of samples: by how many milliseconds a timer of the loop came late."""

    samples: deque[float] = field(default_factory=lambda: deque(maxlen=round(60 / INTERVAL)))

    @classmethod
    @asynccontextmanager
    async def measuring(cls) -> AsyncIterator["LoopLag"]:
        """Measure for the length of a block."""
        lag = cls()
        task = asyncio.create_task(lag._measure(), name="loop lag")
        try:
            yield lag
        finally:
            task.cancel()

    def snapshot(self) -> dict[str, float]:
        """Median and worst of the last minute, in milliseconds."""
        ordered = sorted(self.samples) or [0.0]
        return {"median": round(ordered[len(ordered) // 2], 2), "worst": round(ordered[-1], 2)}

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.samples.append(max(loop.time() - due, 0.0) * 1000)

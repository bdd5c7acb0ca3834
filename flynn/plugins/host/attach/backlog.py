"""Output that waits on disk for a slow client: the job is stopped while that is more than the disk shall bear."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from flynn.plugins.host.life.life import Life

HELD = 64 * 1024 * 1024
"""Bytes that may wait, about; the job goes on once half of it is delivered."""

LOOK = 0.1
"""Seconds between two looks."""


async def hold_back(life: Life, given: Mapping[str, int]) -> str:
    """Keep to that, for ever. `given`: bytes of each raw file that the client has."""
    held = False
    while True:
        await asyncio.sleep(LOOK)
        waiting = sum(max(_size(life.dir / stream) - at, 0) for stream, at in given.items())
        if life.running and waiting > HELD:  # Each time: what was just begun does not know of it.
            await life.running.signal(signal.SIGSTOP)
            held = True
        elif life.running and held and waiting < HELD // 2:
            await life.running.signal(signal.SIGCONT)
            held = False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

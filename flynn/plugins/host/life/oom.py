"""A job that had too little memory, its own or its host's: told in its log, and as the reason where it ended of that.

The kernel kills one of its processes then: often the job's first, which ends it; else a worker, and the job goes on.
"""

import asyncio

from msgspec.structs import replace

from flynn.plugins.host.backends.backend import Running
from flynn.plugins.host.life.restart import Ending
from flynn.plugins.host.life.spec import limits_of
from flynn.plugins.host.life.standing import Standing
from flynn.plugins.host.limits.limiter import refusals

INTERVAL = 10.0
"""Seconds between two looks at what was killed of a job that goes on."""

RECENT = 60.0
"""Seconds for which a killed process explains the end of its job."""


async def watch(running: Running, standing: Standing) -> Ending:
    """Tell of each, as long as the job runs; never returns. Where the kernel has ended nothing, no job is looked at."""
    ground = standing.ground
    before = None
    while True:
        await asyncio.sleep(INTERVAL)
        count = ground.kills.count(ground.steady())
        if count is None or count != before:
            await look(running, standing)
        before = count


async def look(running: Running, standing: Standing) -> None:
    """Tell of those that were killed since the last look."""
    kills, kept = await running.oom_kills(), standing.kept
    new = kills.killed - kept.oom_kills
    if new > 0:
        standing.kept = replace(
            kept, oom_kills=kills.killed, oom_at=standing.ground.steady(), oom_own=kills.over, killed=kept.killed + new
        )
        standing.set()
        await standing.say(killed(_limit(standing), new))


async def reason(standing: Standing, ended: str, code: int | None) -> str:
    """Why the job ended, which otherwise would be `ended`."""
    at = standing.kept.oom_at
    ago = standing.ground.steady() - at if at else -1.0
    told = explained(ended, _limit(standing), ago)
    if told == ended and code and await refusals(standing.dir):
        return f"out of processes: limit {standing.job.pids}; {ended}"
    return told


def killed(limit: int, count: int) -> str:
    """The line for the job's log. `limit` as `lack` takes it."""
    number = "1 process of it was" if count == 1 else f"{count} processes of it were"
    return f"{lack(limit)}; {number} killed"


def explained(ended: str, limit: int, ago: float) -> str:
    """Why a job ended, `ago` seconds after the last such kill (negative: there was none)."""
    return f"{lack(limit)}; {ended}" if 0 <= ago < RECENT else ended


def lack(limit: int) -> str:
    """Of what there was too little. `limit`: the job's own, in MiB, which it was over; 0: it was not."""
    return f"out of memory: limit {limit} MiB" if limit else "out of memory: its host has none left"


def _limit(standing: Standing) -> int:
    return limits_of(standing.job).memory if standing.kept.oom_own else 0

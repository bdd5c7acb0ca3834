"""L4: many follow a log, one of them takes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common import machine
from bench.common.daemon import HOST
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.programs import program
from bench.common.run import Run
from bench.host.follow import going
from bench.host.ground import APP, Ground, open_ground
from bench.host.load import paced
from flynn.core import keys
from flynn.core.logframe import MEDIA_TYPE
from flynn.core.model import App

FOLLOWERS = 200

RATE, SECONDS = 2000, 30
"""Lines a second, and for how long."""

COUNT = RATE * SECONDS

LIMIT = 120.0
"""Seconds within which all must have all lines."""

LOOK = 0.1
"""Seconds between two looks at the memory."""

FLAT = 64
"""MiB that the daemon may grow by: it holds the newest 4 of the log for all together, and 0.3 that wait to be sent for
each at most, however much is printed."""

MIB = 1024 * 1024


@dataclass(eq=False)
class Memory:
    """Bytes that are resident: at first, and the most since."""

    first: int
    most: int


async def measure(run: Run, work: Path) -> list[Figure]:
    """Once: what is lost is counted, and memory does not waver as time does. NotMeasured."""
    facts = {keys.app(APP): App(name=APP, created=1.0)}
    async with open_ground(work, "host,shelf,controller", facts) as ground:
        await _once(ground, 0, 1000, 2)  # So that all code is loaded, and all threads are there.
        return await _once(ground, 1, COUNT, FOLLOWERS, run)


async def _once(ground: Ground, number: int, count: int, followers: int, run: Run | None = None) -> list[Figure]:
    job = ground.job(f"bench-run-{number}", paced.command(count, RATE))
    await ground.order(job)
    await ground.fifo.lines()
    path = f"/v1/hosts/{HOST}/log?app={APP}&n=0&follow=true&stream=stdout"
    place, token = ground.daemon.url.removeprefix("http://"), ground.daemon.token
    readers = followers - 1
    async with program("host.load.followers", place, path, token, MEDIA_TYPE, readers, count) as told:
        await told.says("ready", LIMIT)
        async with watched(ground.process.popen.pid) as memory:
            with going(ground):
                whole, seconds = await told.says("done", LIMIT)
        told.tell("read")
        [late] = await told.says("late", LIMIT)
    await ground.state("down", job.id)
    await ground.end(job)
    if run is None:
        return []
    grown = (memory.most - memory.first) / MIB
    run.say(f"   {whole} of {readers} had all {count} lines within {seconds} s, {RATE} a second were printed")
    run.say(f"   the one who took nothing meanwhile: then {late} lines of {count}")
    run.say(f"   resident: {memory.first / MIB:.1f} MiB with {followers} connected, {memory.most / MIB:.1f} at most")
    return [
        Figure("L4a", readers - int(whole), "<=", 0, f"of {readers} followers without all lines, one more is stuck"),
        Figure("L4b", grown, "<=", FLAT, f"growth while {followers} follow {count} lines, one of them stuck", "MiB"),
    ]


@asynccontextmanager
async def watched(pid: int) -> AsyncIterator[Memory]:
    """The memory of a process for the length of a block."""
    memory = Memory(machine.resident([pid]), 0)

    async def look() -> None:
        while True:
            memory.most = max(memory.most, machine.resident([pid]))
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look(), name="memory")
    try:
        yield memory
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    if not memory.most:
        raise NotMeasured("the daemon's memory was never looked at")

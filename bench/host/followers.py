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
from flynn.core.logform import JSON
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


@dataclass(frozen=True)
class Way:
    """Where a log is followed: at its host, or through a controller. `sign`: see `load/followers.py`."""

    name: str
    path: str
    accept: str
    sign: str


WAYS = {
    "ab": Way("its host", f"/v1/hosts/{HOST}/log?app={APP}&stream=stdout", MEDIA_TYPE, '["live",'),
    "cd": Way("a controller", f"/v1/apps/{APP}/log?stream=stdout", JSON, '"position"'),
}
"""By the letters of their figures."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """Once: what is lost is counted, and memory does not waver as time does. NotMeasured."""
    figures = []
    for letters, way in WAYS.items():
        place = work / letters
        place.mkdir()
        facts = {keys.app(APP): App(name=APP, created=1.0)}
        async with open_ground(place, "host,shelf,controller", facts) as ground:
            await _once(ground, way, 0, 1000, 2)  # So that all code is loaded, and all threads are there.
            figures += await _measured(run, ground, way, letters)
    return figures


async def _measured(run: Run, ground: Ground, way: Way, letters: str) -> list[Figure]:
    found = await _once(ground, way, 1, COUNT, FOLLOWERS)
    readers = FOLLOWERS - 1
    run.say(f"   {found.whole} of {readers} at {way.name} had all {COUNT} lines in {found.seconds} s, {RATE} a second")
    run.say(f"   the one who took nothing meanwhile: then {found.late} lines of {COUNT}")
    first, most = found.memory.first / MIB, found.memory.most / MIB
    run.say(f"   resident: {first:.1f} MiB with {FOLLOWERS} connected, {most:.1f} at most")
    what = f"growth while {FOLLOWERS} follow {COUNT} lines at {way.name}, one of them stuck"
    lack = f"of {readers} followers at {way.name} without all lines, one more is stuck"
    return [
        Figure(f"L4{letters[0]}", readers - found.whole, "<=", 0, lack),
        Figure(f"L4{letters[1]}", most - first, "<=", FLAT, what, "MiB"),
    ]


@dataclass(frozen=True)
class Found:
    """`whole`: readers with all lines, the last of them after `seconds`; `late`: lines of the one who was stuck."""

    whole: int
    seconds: str
    late: str
    memory: Memory


async def _once(ground: Ground, way: Way, number: int, count: int, followers: int) -> Found:
    job = ground.job(f"bench-run-{number}", paced.command(count, RATE))
    await ground.order(job)
    await ground.fifo.lines()
    path = f"{way.path}&n=0&follow=true"
    place, token = ground.daemon.url.removeprefix("http://"), ground.daemon.token
    told_to = (place, path, token, way.accept, way.sign, followers - 1, count)
    async with program("host.load.followers", *told_to) as told:
        await told.says("ready", LIMIT)
        async with watched(ground.process.popen.pid) as memory:
            with going(ground):
                whole, seconds = await told.says("done", LIMIT)
        told.tell("read")
        [late] = await told.says("late", LIMIT)
    await ground.state("down", job.id)
    await ground.end(job)
    return Found(int(whole), seconds, late, memory)


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

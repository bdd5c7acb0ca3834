"""I2: many sleepers ordered at once, until all are up."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.common.figures import Figure
from bench.common.run import Run
from bench.host.fifo import SAY
from bench.host.ground import Ground, open_ground
from bench.host.peers.docker import Docker, open_docker
from bench.host.slugs import slug
from flynn.core.model import Job

COUNT = 100

CONTAINERS, AT_ONCE = 20, 4
"""Containers of one round, and how many `docker run` are under way at a time: more at once are not quicker."""

SLEEP = f"{SAY}; exec sleep 100000"


@dataclass(frozen=True)
class Times:
    """Seconds from the order until all processes had run their first instruction, and until all were told to be up."""

    begun: float
    up: float


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(work))
        docker = await stack.enter_async_context(open_docker(work, ground.fifo.dir))
        layer = await ground.put(slug(work, {"hello.txt": b"hello\n"}))
        await _sleepers(ground, layer, "first", 1)  # It unpacks the layer.
        found, theirs = [], []
        for number in range(run.rounds):
            found.append(await _sleepers(ground, layer, str(number), COUNT))
            theirs.append(await _containers(docker))
    up, begun = min(times.up for times in found), min(times.begun for times in found)
    run.show(
        ["", "seconds", "a second"],
        [
            [f"flynn, {COUNT} sleepers told to be up", f"{up:.2f}", f"{COUNT / up:.1f}"],
            [f"flynn, {COUNT} sleepers running", f"{begun:.2f}", f"{COUNT / begun:.1f}"],
            [f"docker run --detach, {CONTAINERS}, {AT_ONCE} at a time", f"{min(theirs):.2f}",
             f"{CONTAINERS / min(theirs):.1f}"],
        ],
    )  # fmt: skip
    return [Figure("I2", up, "<=", 2, f"{COUNT} sleepers ordered at once, until all are up", "s")]


async def _sleepers(ground: Ground, layer: str, name: str, count: int) -> Times:
    jobs = [_sleeper(ground, layer, f"bench-sleep-{name}-{number}") for number in range(count)]
    heard = asyncio.create_task(ground.fifo.lines(count), name="begun")
    await asyncio.sleep(0)
    begun = time.perf_counter()
    await ground.order(*jobs)
    await ground.state("up", *(job.id for job in jobs))
    up = time.perf_counter()
    times = Times(await heard - begun, up - begun)
    await ground.end(*jobs)
    return times


def _sleeper(ground: Ground, layer: str, id: str) -> Job:
    """An instance of a type that serves nothing."""
    return ground.job(id, SLEEP, type="worker", queue="services", layers={"app": layer})


async def _containers(docker: Docker) -> float:
    """Seconds until so many containers run."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def start() -> str:
        async with turns:
            words = docker.run("--detach", command=["/busybox/sleep", "100000"])
            return (await docker.do(*words[len(docker.words()) :])).strip()

    begun = time.perf_counter()
    ids: Iterable[str] = await asyncio.gather(*(start() for _ in range(CONTAINERS)))
    taken = time.perf_counter() - begun
    await docker.do("rm", "--force", *ids)
    return taken

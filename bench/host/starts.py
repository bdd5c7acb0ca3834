"""I1: from the order of a job to the first instruction of its process."""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.common.figures import Figure
from bench.common.run import Run
from bench.host.fifo import SAY
from bench.host.ground import Ground, open_ground
from bench.host.peers.bwrap import Bare
from bench.host.peers.docker import LIMIT, Docker, open_docker
from bench.host.slugs import slug
from flynn.core.model import BURST, MEMORY

ORDERS, RUNS = 20, 5
"""Starts in one round, and those of Docker; the median of them counts."""

REST = 0.05
"""Seconds between two starts: what the last one left to do is done then."""


@dataclass(frozen=True)
class Peer:
    """`start` starts one, says in seconds how long it took, and leaves nothing behind. `count`: how many a round."""

    name: str
    start: Callable[[], Awaitable[float]]
    count: int = ORDERS


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(work))
        docker = await stack.enter_async_context(open_docker(work, ground.fifo.dir))
        layer = await ground.put(slug(work, {"hello.txt": b"hello\n"}))
        orders = Orders(ground, layer)
        await orders.start()  # It unpacks the layer.
        bare = Bare(made(work / "bare"), ground.tree(layer), ground.fifo.dir, BURST * MEMORY)
        bare.probe()
        peers = [
            Peer("flynn", orders.start),
            Peer("bwrap", lambda: _bare(ground, bare)),
            Peer("docker run", lambda: _docker(ground, docker), RUNS),
            Peer("docker run --network host", lambda: _docker(ground, docker, "--network", "host"), RUNS),
        ]
        orders.acknowledged.clear()
        found: dict[str, list[float]] = {peer.name: [] for peer in peers}
        for peer in run.turns(peers):
            found[peer.name].append(await _median(peer))
    return _figures(run, {name: min(each) for name, each in found.items()}, statistics.median(orders.acknowledged))


async def _median(peer: Peer) -> float:
    """Milliseconds."""
    found = []
    for _ in range(peer.count):
        await asyncio.sleep(REST)
        found.append(await peer.start())
    return statistics.median(found) * 1000


class Orders:
    """Jobs that run once, one after the other. `acknowledged`: seconds that each commit took, which are part of it."""

    def __init__(self, ground: Ground, layer: str) -> None:
        self.ground, self.layer = ground, layer
        self.count = 0
        self.acknowledged: list[float] = []

    async def start(self) -> float:
        self.count += 1
        job = self.ground.job(f"bench-run-{self.count}", SAY, layers={"app": self.layer})
        heard = asyncio.create_task(self.ground.fifo.lines(), name="begun")
        await asyncio.sleep(0)
        begun = time.perf_counter()
        await self.ground.order(job)
        self.acknowledged.append(time.perf_counter() - begun)
        taken = await heard - begun
        await self.ground.state("down", job.id)
        await self.ground.end(job)
        return taken


async def _bare(ground: Ground, bare: Bare) -> float:
    heard = asyncio.create_task(ground.fifo.lines(), name="begun")
    await asyncio.sleep(0)
    begun = time.perf_counter()
    with bare.started(SAY):
        return await heard - begun


async def _docker(ground: Ground, docker: Docker, *words: str) -> float:
    heard = asyncio.create_task(ground.fifo.lines(), name="begun")
    await asyncio.sleep(0)
    begun = time.perf_counter()
    process = popen(docker.run("--rm", *words, command=["/busybox/sh", "-c", SAY]))
    taken = await heard - begun
    await asyncio.to_thread(process.wait, LIMIT)
    return taken


def popen(words: Sequence[str]) -> "subprocess.Popen[bytes]":
    """A command without input; its output is nobody's."""
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def made(dir: Path) -> Path:
    dir.mkdir()
    return dir


def _figures(run: Run, least: dict[str, float], acknowledged: float) -> list[Figure]:
    own, bwrap, docker = least["flynn"], least["bwrap"], least["docker run"]
    run.show(
        ["flynn : it", "", "ms to the first instruction"],
        [[f"{own / ms:.3f}", name, f"{ms:.2f}"] for name, ms in least.items()],
    )
    run.say(f"   {acknowledged * 1000:.2f} ms of flynn's are the commit itself")
    what = "order to process running, flynn"
    return [
        Figure("I1a", own / bwrap, "<=", 2.5, f"{what} : bare bwrap"),
        Figure("I1b", own / docker, "<=", 1 / 20, f"{what} : docker run"),
    ]

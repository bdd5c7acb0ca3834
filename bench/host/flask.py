"""I3: from the order of a Flask instance to the first 200, beside the same server started bare."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.run import Run
from bench.common.web import Poller
from bench.host.ground import Ground, open_ground
from bench.host.slugs import slug
from flynn.core.model import Job

LIBRARIES = Path(__file__).parents[2] / ".engines" / "flask"
"""Flask and what it needs, put there by bench/engines.sh."""

SERVER = b"""\
import os
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "hello\\n"


app.run("127.0.0.1", int(os.environ["PORT"]))
"""

START = f"exec {sys.base_prefix}/bin/python3 server.py"

STARTS = 11
"""Starts in one round; the median of them counts. Of fewer it differs by as much as what there is to tell apart."""

LIMIT = 60.0
"""Seconds within which a server must answer."""

PAUSE = 0.001
"""Seconds between two questions to a server that does not answer yet."""

REST = 0.2
"""Seconds between two starts."""

Start = Callable[[], Awaitable[float]]


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    if not (LIBRARIES / "flask").is_dir():
        raise NotMeasured(f"there is no Flask in {LIBRARIES}; bench/engines.sh host puts it there")
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(work))
        layer = await ground.put(slug(work, {"server.py": SERVER}, LIBRARIES))
        orders = Orders(ground, layer)
        fetched = await orders.registered()
        starts: dict[str, Start] = {
            "flynn, registered": orders.registered,
            "flynn, on its port": orders.asked,
            "bare": lambda: _bare(ground.tree(layer)),
        }
        found: dict[str, list[float]] = {name: [] for name in starts}
        for name in run.turns(list(starts)):
            found[name].append(await _median(starts[name]))
    least = {name: min(each) for name, each in found.items()}
    own, bare = least["flynn, registered"], least["bare"]
    run.show(
        ["flynn : it", "", "ms to the first 200"],
        [[f"{own / ms:.3f}", name, f"{ms:.1f}"] for name, ms in least.items()],
    )
    run.say(f"   {fetched * 1000:.0f} ms the first time, when the slug was fetched and unpacked")
    return [Figure("I3", own / bare, "<=", 1.15, "Flask, order to first 200 where it is registered : bare start")]


async def _median(start: Start) -> float:
    """Milliseconds."""
    found = []
    for _ in range(STARTS):
        await asyncio.sleep(REST)
        found.append(await start())
    return statistics.median(found) * 1000


class Orders:
    """Instances of the server, one after the other."""

    def __init__(self, ground: Ground, layer: str) -> None:
        self.ground, self.layer = ground, layer
        self.count = 0

    async def registered(self) -> float:
        """Asked once it is registered, as the router does."""
        job, begun = self._job(), time.perf_counter()
        await self.ground.order(job)
        instance = await self.ground.instance(job)
        taken = await asyncio.to_thread(_answers, int(instance.address.rpartition(":")[2])) - begun
        await self.ground.end(job)
        return taken

    async def asked(self) -> float:
        """Asked again and again, from when its port is known."""
        job, begun = self._job(), time.perf_counter()
        await self.ground.order(job)
        port = await self.ground.port(job)
        taken = await asyncio.to_thread(_answers, port) - begun
        await self.ground.end(job)
        return taken

    def _job(self) -> Job:
        self.count += 1
        told = {"type": "web", "queue": "services", "service": "bench-web", "cache": "", "layers": {"app": self.layer}}
        return self.ground.job(f"bench-web-{self.count}", START, **told)


async def _bare(tree: Path) -> float:
    [port] = free_ports(1)
    begun = time.perf_counter()
    process = await asyncio.to_thread(_start, tree, port)
    try:
        return await asyncio.to_thread(_answers, port) - begun
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


def _start(tree: Path, port: int) -> "subprocess.Popen[bytes]":
    env = {"PATH": os.environ["PATH"], "PORT": str(port), "LANG": "C.UTF-8", "HOME": "/"}
    return subprocess.Popen(
        ["/bin/sh", "-c", START], cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _answers(port: int) -> float:
    """When it answered with 200. NotMeasured: it did not within the limit."""
    poller, deadline = Poller(port, "127.0.0.1"), time.monotonic() + LIMIT
    while poller.status() != 200:
        if time.monotonic() > deadline:
            raise NotMeasured(f"not within {LIMIT:g} s: Flask answers on port {port}")
        time.sleep(PAUSE)
    poller.close()
    return time.perf_counter()

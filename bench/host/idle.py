"""M1: what the agent itself takes while its jobs do nothing."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common import machine
from bench.common.daemon import Daemon, Records, fill, running
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.processes import expecting
from bench.common.run import Run
from bench.host.slugs import slug
from flynn.client import Client, open_client
from flynn.core import keys
from flynn.core.model import App, Artifact, Formation, ProcessType, Release
from flynn.core.sqlite import open_sqlite

JOBS = 200

MEMORY = 16
"""MiB that a job reserves: the host must have what all of them do."""

SETTLE, SECONDS = 15.0, 30.0
"""Seconds from the last job that is up to the measurement, and how long that takes."""

LIMIT = 180.0
"""Seconds within which all jobs must be up."""

APP = "idle"

SERVER = b"""\
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    listener.accept()[0].close()
"""
"""A server that nobody asks for anything but whether it is there."""

TYPES = {
    "worker": ProcessType(command="exec sleep 100000", memory=MEMORY),
    "web": ProcessType(command="exec python3 -SE server.py", serves=True, memory=MEMORY),
}


@dataclass(frozen=True)
class Cost:
    """`cpu` in percent of a core, `memory` in MiB; `jobs`: MiB of what runs around a job, for all of them."""

    cpu: float
    memory: float


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    found = {}
    for type, what in (("worker", "sleepers"), ("web", "servers, each checked every 2 s")):
        dir = work / type
        dir.mkdir()
        async with open_node(dir) as (daemon, client):
            await _scale(client, dir, type)
            await asyncio.sleep(SETTLE)
            assert daemon.process
            found[f"{JOBS} {what}"] = await _cost(daemon.process.popen.pid)
    run.show(
        ["flynn daemon, all bricks", "% of a core", "MiB resident"],
        [[name, f"{cost.cpu:.2f}", f"{cost.memory:.1f}"] for name, cost in found.items()],
    )
    own = next(iter(found.values()))
    return [
        Figure("M1a", own.cpu, "<=", 2, f"of a core, a daemon with all bricks and {JOBS} idle jobs", "%"),
        Figure("M1b", own.memory, "<=", 150, f"resident, a daemon with all bricks and {JOBS} idle jobs", "MiB"),
    ]


@asynccontextmanager
async def open_node(work: Path) -> AsyncIterator[tuple[Daemon, Client]]:
    """A grid of one machine for the length of a block, with an app whose slug is on its shelf."""
    path = slug(work, {"server.py": SERVER})
    data = work / "flynn"
    data.mkdir()
    async with open_sqlite(data / "store.db") as store:
        await fill(store, _facts(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size))
    api, port = free_ports(2)
    told = ["--backend", "sandbox", "--http-port", str(port), "--set", "router.bind=127.0.0.1"]
    daemon = Daemon(data, "", api, told)
    async with running(daemon), open_client(daemon.url, daemon.token) as client:
        await client.put_blob(path)
        yield daemon, client


def _facts(sha256: str, size: int) -> Records:
    artifact = Artifact(sha256=sha256, size=size)
    return {
        keys.app(APP): App(name=APP, created=1.0, release=1),
        keys.release(APP, 1): Release(app=APP, version=1, created=1.0, artifact=artifact, processes=TYPES),
        keys.formation(APP): Formation(app=APP, counts=dict.fromkeys(TYPES, 0)),
    }


async def _scale(client: Client, work: Path, type: str) -> None:
    """Have so many jobs of a type, and wait until all are up. NotMeasured."""
    async for _ in client.scale(APP, {type: JOBS}, wait=False):
        pass
    with expecting(f"{JOBS} {type} are up", LIMIT):
        async with asyncio.timeout(LIMIT):
            while sum(job.state == "up" for job in await client.jobs(APP)) < JOBS:
                await asyncio.sleep(0.5)


async def _cost(pid: int) -> Cost:
    """Of this process alone, its threads included."""
    before, begun = machine.cpu_ns([pid]), time.perf_counter()
    await asyncio.sleep(SECONDS)
    spent, taken = machine.cpu_ns([pid]) - before, time.perf_counter() - begun
    if not spent:
        raise NotMeasured("the kernel does not say what the daemon has run")
    return Cost(spent / taken / 1e7, machine.resident([pid]) / 1024 / 1024)

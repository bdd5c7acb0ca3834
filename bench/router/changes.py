"""R4: what is lost while routes and apps change, and while one daemon takes over from the other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.common.daemon import HOST
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.processes import expecting
from bench.common.run import Run
from bench.router import wrk
from bench.router.backends import Backends, open_backends
from bench.router.grid import Grid, open_grid
from bench.router.peers import flynn
from bench.router.peers.haproxy import open_haproxy
from bench.router.peers.nginx import open_nginx
from bench.router.peers.peer import Peer
from bench.router.sampling import agree
from bench.router.site import ASKED, CLIENTS, Site, names
from bench.router.spare import open_spare
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Instance, Record, Route, Router
from flynn.core.store import Delete, Put

CHANGES = 1000

HANDOVERS = 10

RELOADS = 10

REST = 0.5
"""Seconds between two hand-overs or reloads."""

DRAIN = 20.0
"""Seconds within which the router must have let go of an app."""

HAND_OVER = 60.0
"""Seconds within which the old daemon must have ended."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    figures = []
    async with open_backends(work) as backends:
        half = len(backends.ports) // 2
        facts = {
            **flynn.records(Site(names(1000), backends.ports[:half]), "s"),
            **flynn.records(Site((), backends.ports[half:]), "t"),
        }
        async with open_grid(work, facts) as grid:
            lost = await _through_changes(run, grid, backends)
            figures.append(Figure("R4a", lost, "<=", 0, f"requests failed over {CHANGES} changes of routes and apps"))
            if handovers := _handovers():
                lost = await _through_handovers(run, grid, backends, handovers)
                figures.append(Figure("R4b", lost, "<=", 0, f"requests failed over {handovers} hand-overs"))
            else:
                run.say("   hand-overs left out")
        await _others(run, work, Site(names(1000), backends.ports))
    return figures


def _handovers() -> int:
    """How many: BENCH_HANDOVERS, else all if the daemon knows how."""
    if told := os.environ.get("BENCH_HANDOVERS"):
        return int(told)
    command = [sys.executable, "-m", "flynn", "daemon", "--help"]
    known = "--takeover" in subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    return HANDOVERS if known else 0


async def _through_changes(run: Run, grid: Grid, backends: Backends) -> int:
    """Requests that failed."""
    answered = await backends.answered()
    async with _loaded(grid.peer) as load:
        spares = 0
        made = Changes(grid)
        while made.count < CHANGES:
            spares += await made.cycle()
    failed = load.counted
    run.say(
        f"   {made.count} changes: {failed.failed} of {failed.requests} requests failed; {spares} by apps that went"
    )
    if not spares:
        raise NotMeasured("no request went to the apps that came and went")
    by_all = await backends.answered() - answered + spares
    agree("the apps behind flynn say that they", by_all + failed.failed, failed.requests, CLIENTS)
    return failed.failed


class Changes:
    """Commits that change what the router knows, one after the other, while it routes."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.count = 0
        self.service = "s"

    async def cycle(self) -> int:
        """A route and an app come, all goes to the other service, both go again; the requests that the app answered."""
        id = f"fresh{self.count}"
        route = Route(id=id, domain=f"{id}.test", service="s")
        other = "t" if self.service == "s" else "s"
        async with open_spare() as spare:
            instance = Instance(id=id, service=other, host=HOST, address=f"127.0.0.1:{spare.port}")
            key = keys.instance(other, id)
            await self.put(keys.route(id), route)
            await self.put(key, instance)
            await self.put(keys.route(ASKED), Route(id=ASKED, domain=ASKED, service=other))
            self.service = other
            revision = await self.put(key, msgspec.structs.replace(instance, draining=True))
            await self.drained(f"{other}/{id}", revision)
            await self.gone(key)
        await self.gone(keys.route(id))
        return spare.answered

    async def put(self, key: str, record: Record) -> int:
        self.count += 1
        return await self.grid.store.commit([Put(key, encode(record))])

    async def gone(self, key: str) -> None:
        self.count += 1
        await self.grid.store.commit([Delete(key)])

    async def drained(self, instance: str, revision: int) -> None:
        """Wait until the router has said that nothing of its is on an instance that drains since `revision`."""
        with expecting(f"flynn lets go of {instance}", DRAIN):
            async with asyncio.timeout(DRAIN):
                while not await self._let_go(instance, revision):
                    await asyncio.sleep(0.005)

    async def _let_go(self, instance: str, revision: int) -> bool:
        item = await self.grid.store.get(keys.router(HOST))
        if item is None:
            return False
        router = msgspec.json.decode(item.value, type=Router)
        return router.revision >= revision and not router.draining.get(instance)


async def _through_handovers(run: Run, grid: Grid, backends: Backends, count: int) -> int:
    """Requests that failed while a new process took over, so often."""
    answered = await backends.answered()
    async with _loaded(grid.peer) as load:
        for _ in range(count):
            await _hand_over(grid.daemon)
            await asyncio.sleep(REST)
    found = load.counted
    run.say(f"   {count} hand-overs: {found.failed} of {found.requests} requests failed")
    agree("the apps say that they", await backends.answered() - answered + found.failed, found.requests, CLIENTS)
    return found.failed


async def _hand_over(daemon: flynn.Daemon) -> None:
    old = daemon.process
    assert old is not None
    new = daemon.start("--takeover")
    daemon.process = new
    try:
        code = await old.ended(HAND_OVER)
        await daemon.healthy(new)
    except NotMeasured:
        await old.stop()
        raise
    if code:
        raise NotMeasured(f"the daemon that handed over ended with {code}: {old.said()}")


async def _others(run: Run, work: Path, told: Site) -> None:
    """What a reload loses of the others, for information."""
    rows = []
    for opens, number in ((open_nginx, signal.SIGHUP), (open_haproxy, signal.SIGUSR2)):
        async with opens(work, told, reloads=True) as peer:
            await peer.knows(ASKED)
            async with _loaded(peer) as load:
                for _ in range(RELOADS):
                    await asyncio.sleep(REST)
                    peer.process.popen.send_signal(number)
                await asyncio.sleep(REST)
            rows.append([f"{load.counted.failed / RELOADS:g}", peer.name, f"{load.counted.requests}"])
    run.show(["failed a reload", "for information", f"requests over {RELOADS} reloads"], rows)


@dataclass
class _Load:
    """`counted` is known at the end of the block."""

    counted: wrk.Load


@asynccontextmanager
async def _loaded(peer: Peer) -> AsyncIterator[_Load]:
    """Keep-alive requests for the length of a block."""
    await peer.knows(ASKED)
    load = _Load(wrk.Load(0, 0, 0, 0, 0))
    async with wrk.running(wrk.command(peer.port, ASKED, wrk.LONG, CLIENTS)) as end:
        await asyncio.sleep(REST)
        yield load
        load.counted = await end()
    if not load.counted.requests:
        raise NotMeasured(f"{peer.name} answered nothing")

"""R8: many open WebSockets that each send a message a second: what a message costs, and whether one is ever dropped."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from bench.common import programs
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.programs import Program
from bench.common.run import Run
from bench.router.grid import Grid, open_grid
from bench.router.peers import flynn
from bench.router.peers.nginx import UPGRADES, open_nginx
from bench.router.peers.peer import Peer
from bench.router.site import ASKED, Site, names
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Route
from flynn.core.store import Delete, Put

SOCKETS = 5000

SECONDS = 4.0
"""Of one sample."""

PAUSE = 0.02
"""Seconds between two changes of a route."""

OPEN_LIMIT = 60.0
"""Seconds within which all sockets must be open."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    run.need_files(2 * SOCKETS + 1000)
    [port] = free_ports(1)
    told = Site(names(1000), [port])
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(programs.app(work, "router.load.messages_app", port))
        await app.listens(port)
        grid = await stack.enter_async_context(open_grid(work, flynn.records(told)))
        loads = {}
        for peer in (grid.peer, await stack.enter_async_context(open_nginx(work, told, more=UPGRADES))):
            await peer.knows(ASKED)
            load = programs.program("router.load.messages_clients", peer.port, ASKED, SOCKETS)
            loads[peer] = await stack.enter_async_context(load)
            await loads[peer].says("open", OPEN_LIMIT)
        costs = await _costs(run, loads)
        changes, dropped = await _changing(grid, loads[grid.peer])
        run.say(f"   {changes} route changes meanwhile: {dropped} sockets or messages dropped")
    ratio = costs["flynn"] / costs["nginx"]
    return [
        Figure("R8a", ratio, "<=", 1.2, f"CPU a message of {SOCKETS} WebSockets, flynn : nginx"),
        Figure("R8b", dropped, "<=", 0, f"WebSockets or messages dropped over {changes} route changes"),
    ]


async def _costs(run: Run, loads: dict[Peer, Program]) -> dict[str, float]:
    """Microseconds of CPU that a message costs there and back, the least of all rounds."""
    best = {peer.name: float("inf") for peer in loads}
    for peer in run.turns(list(loads)):
        before = peer.process.cpu_ns()
        sent, dropped = await _exchange(loads[peer])
        if dropped:
            raise NotMeasured(f"{peer.name} dropped {dropped} sockets or messages")
        best[peer.name] = min(best[peer.name], (peer.process.cpu_ns() - before) / sent / 1000)
    rows = [[f"{best['flynn'] / cost:.2f}", name, f"{cost:.1f}"] for name, cost in best.items()]
    run.show(["flynn : it", f"{SOCKETS} sockets", "µs CPU a message and its echo"], rows)
    return best


async def _exchange(load: Program) -> tuple[int, int]:
    """Let all sockets send for a while: messages sent, and messages and sockets that were dropped."""
    load.tell(str(SECONDS))
    sent, echoed, left = map(int, await load.says("echoed", SECONDS + 30))
    return sent, sent - echoed + SOCKETS - left


async def _changing(grid: Grid, load: Program) -> tuple[int, int]:
    """The same while routes come and go: how many changes, and what was dropped."""
    stop = asyncio.Event()
    changing = asyncio.create_task(_change(grid, stop), name="changes")
    _, dropped = await _exchange(load)
    stop.set()
    changes = await changing
    if changes < SECONDS / PAUSE / 4:
        raise NotMeasured(f"only {changes} changes were made")
    return changes, dropped


async def _change(grid: Grid, stop: asyncio.Event) -> int:
    """Add a route, point that of the sockets at nobody and back, remove the first, until told to stop; how many."""
    elsewhere = Route(id=ASKED, domain=ASKED, service="nobody")
    there = Route(id=ASKED, domain=ASKED, service="s")
    more = Route(id="more", domain="more.test", service="s")
    changes, revision = 0, 0
    while not stop.is_set():
        for op in (
            Put(keys.route("more"), encode(more)),
            Put(keys.route(ASKED), encode(elsewhere)),
            Put(keys.route(ASKED), encode(there)),
            Delete(keys.route("more")),
        ):
            revision = await grid.store.commit([op])
            changes += 1
            await asyncio.sleep(PAUSE)
    await grid.daemon.reached(revision)
    return changes

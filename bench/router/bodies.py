"""R7: large bodies, in megabytes (10^6) per second of the proxy's CPU; and a client that takes its time."""

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.common import programs, web
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.run import Run
from bench.router.load.bodies_clients import CLIENTS
from bench.router.peers import flynn
from bench.router.peers.haproxy import open_haproxy
from bench.router.peers.nginx import PLAIN, STREAMED, open_nginx
from bench.router.peers.peer import Peer
from bench.router.site import ASKED, Site, names

SIZE = 64 << 20

LARGE = 1 << 30
"""Bytes of the answer that a slow client takes."""

SLOWLY = 4.0
"""Seconds that it is slow."""

COUNT = 6
"""Bodies that each client moves in one sample."""

SPLICED: Any = {"name": "haproxy-splice", "more": "  option splice-auto\n", "connections": 100}


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    [port] = free_ports(1)
    told = Site(names(100), [port])
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(programs.app(work, "router.load.bodies_app", port))
        await app.listens(port)
        _, own = await stack.enter_async_context(flynn.open_daemon(work, [flynn.records(told)]))
        peers = [
            own,
            await stack.enter_async_context(open_haproxy(work, told)),
            await stack.enter_async_context(open_haproxy(work, told, **SPLICED)),
            await stack.enter_async_context(open_nginx(work, told, more=PLAIN + STREAMED)),
        ]
        slow = await _slow(run, own, port)
        down = await _rates(run, "down", peers, port)
        up = await _rates(run, "up", peers, port)
    return [
        Figure("R7a", down["flynn"] / down["haproxy"], ">=", 1.3, "MB a CPU second, download, flynn : haproxy"),
        Figure("R7b", up["flynn"] / up["haproxy"], ">=", 1.3, "MB a CPU second, upload, flynn : haproxy"),
        Figure("R7c", slow, "<=", 1, "growth while a slow client takes 1 GiB", "MiB"),
    ]


async def _rates(run: Run, way: str, peers: Sequence[Peer], port: int) -> dict[str, float]:
    """The best rate of each peer, by name."""
    best = {peer.name: 0.0 for peer in peers}
    for peer in run.turns(peers):
        best[peer.name] = max(best[peer.name], await _rate(peer, way, port))
    rows = [[f"{best['flynn'] / rate:.2f}", name, f"{rate:.0f}"] for name, rate in best.items()]
    run.show(["flynn : it", f"64 MiB bodies, {way}", "MB a CPU second"], rows)
    return best


async def _rate(peer: Peer, way: str, port: int) -> float:
    await peer.knows(ASKED, "/count")
    answered, moved = await _counted(port)
    served, before = await peer.served(), peer.process.cpu_ns()
    await programs.done(120, "router.load.bodies_clients", peer.port, ASKED, way, COUNT, SIZE)
    spent = peer.process.cpu_ns() - before
    served, now = await peer.served() - served, await _counted(port)
    size = CLIENTS * COUNT * SIZE
    if now[0] - answered != CLIENTS * COUNT or now[1] - moved < size or served < CLIENTS * COUNT:
        raise NotMeasured(f"{peer.name}: {served} answers, the app gave {now[0] - answered}, {now[1] - moved} bytes")
    return size / spent * 1000


async def _counted(port: int) -> tuple[int, int]:
    """The requests that the app has answered, and the bytes it has moved."""
    answered, moved = (await web.ask(f"http://127.0.0.1:{port}/count")).split()
    return int(answered), int(moved)


async def _slow(run: Run, peer: Peer, port: int) -> float:
    """MiB that the proxy grew by at most while one client took 1 GiB, slowly at first."""
    await peer.knows(ASKED, "/count")
    _, moved = await _counted(port)
    before = most = peer.process.resident()
    client = asyncio.create_task(
        programs.done(120, "router.load.bodies_clients", peer.port, ASKED, "slow", SLOWLY, LARGE), name="slow client"
    )
    while not client.done():
        most = max(most, peer.process.resident())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(client), 0.05)
    client.result()
    if (await _counted(port))[1] - moved < LARGE:
        raise NotMeasured("the app did not send the 1 GiB")
    grown = (most - before) / (1 << 20)
    run.say(f"   a client that takes 1 GiB, slowly for {SLOWLY:g} s: flynn grows by {grown:.2f} MiB")
    return grown

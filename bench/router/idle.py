"""R5: the memory of an idle connection that had one answer."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.programs import program
from bench.common.run import Run
from bench.router.backends import open_backends
from bench.router.peers import flynn
from bench.router.peers.caddy import open_caddy
from bench.router.peers.haproxy import open_haproxy
from bench.router.peers.nginx import open_nginx
from bench.router.peers.peer import Peer
from bench.router.peers.traefik import open_traefik
from bench.router.site import ASKED, Site, names

CONNECTIONS = 5000

Opens = Callable[[Path, Site], AbstractAsyncContextManager[Peer]]


async def measure(run: Run, work: Path) -> list[Figure]:
    """Each proxy once, from its start: memory does not waver as time does. NotMeasured."""
    run.need_files(2 * CONNECTIONS + 1000)
    grown = {}
    async with open_backends(work) as backends:
        told = Site(names(100), backends.ports)
        for opens in (_flynn, open_nginx, open_haproxy, _traefik, _caddy):
            async with opens(work, told) as peer:
                grown[peer.name] = await _growth(peer)
    own = grown["flynn"]
    run.show(
        ["flynn : it", "", "KiB an idle connection"],
        [[f"{own / kib:.2f}" if kib else "-", name, f"{kib:.2f}"] for name, kib in grown.items()],
    )
    return [Figure("R5", own, "<=", 3, f"resident an idle connection, of {CONNECTIONS}", "KiB")]


@asynccontextmanager
async def _flynn(work: Path, told: Site) -> AsyncIterator[Peer]:
    async with flynn.open_daemon(work, [flynn.records(told)]) as (_, peer):
        yield peer


@asynccontextmanager
async def _traefik(work: Path, told: Site) -> AsyncIterator[Peer]:
    async with open_traefik(work, told) as (peer, _):
        yield peer


@asynccontextmanager
async def _caddy(work: Path, told: Site) -> AsyncIterator[Peer]:
    async with open_caddy(work, told) as (peer, _):
        yield peer


async def _growth(peer: Peer) -> float:
    """KiB that the proxy grows by with each connection. NotMeasured: it did not answer on all of them."""
    await peer.knows(ASKED)
    served, before = await peer.served(), peer.process.resident()
    async with program("router.load.idle_clients", peer.port, ASKED, CONNECTIONS) as clients:
        await clients.says("ready", 60)
        grown = peer.process.resident() - before
        served = await peer.served() - served
    if served < CONNECTIONS:
        raise NotMeasured(f"{peer.name} says that it answered {served} requests, not {CONNECTIONS}")
    return grown / CONNECTIONS / 1024

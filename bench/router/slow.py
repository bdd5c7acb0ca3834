"""R9: 20 apps, one of them ten times slower: what that does to the slowest hundredth of the requests."""

from contextlib import AsyncExitStack
from pathlib import Path

from bench.common import programs, web
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.run import Run
from bench.router import wrk
from bench.router.peers import flynn
from bench.router.peers.nginx import open_nginx
from bench.router.peers.peer import Peer
from bench.router.sampling import agree
from bench.router.site import ASKED, CLIENTS, Site, names

APPS = 20

DELAY = 0.005
"""Seconds that an app takes for an answer."""

SECONDS = 3.0

FEW = 8
"""Clients of the second run, for information: with few requests under way, their number says little."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    what = f"p99, one of {APPS} apps ten times slower, flynn : nginx; "
    many = await _compare(run, work / "many", 0, "apps that work on many requests at once")
    single = await _compare(run, work / "single", 1, "apps that work on one request after the other")
    return [
        Figure("R9a", many, "<=", 0.5, what + "many at once"),
        Figure("R9b", single, "<=", 0.5, what + "one at a time"),
    ]


async def _compare(run: Run, work: Path, width: int, what: str) -> float:
    ports = free_ports(APPS)
    told = Site(names(100), ports)
    work.mkdir()
    run.say(f"   {what}")
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(programs.app(work, "router.load.slow_app", DELAY, width, *ports))
        await app.listens(ports[-1])
        _, own = await stack.enter_async_context(flynn.open_daemon(work, [flynn.records(told)]))
        peers = [own, await stack.enter_async_context(open_nginx(work, told))]
        for peer in peers:
            await peer.knows(ASKED)
        ratio = await _ratio(run, peers, ports[0], CLIENTS, run.rounds)
        await _ratio(run, peers, ports[0], FEW, 1)
        return ratio


async def _ratio(run: Run, peers: list[Peer], port: int, clients: int, rounds: int) -> float:
    """flynn's p99 to nginx's, each the least of its rounds."""
    loads: dict[str, list[wrk.Load]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            loads[peer.name].append(await _load(peer, port, clients))
    best = {name: min(found, key=lambda load: load.p99) for name, found in loads.items()}
    own = best["flynn"].p99
    rows = [[f"{own / load.p99:.2f}", name, f"{load.p99:.1f}", f"{load.p50:.1f}"] for name, load in best.items()]
    run.show(["flynn : it", f"{clients} clients", "p99 ms", "p50 ms"], rows)
    return own / best["nginx"].p99


async def _load(peer: Peer, port: int, clients: int) -> wrk.Load:
    served, asked = await peer.served(), await _asked(port)
    load = await wrk.run(wrk.command(peer.port, ASKED, SECONDS, clients), SECONDS)
    if load.failed:
        raise NotMeasured(f"{peer.name}: {load.failed} requests failed")
    agree(f"{peer.name} says that it", await peer.served() - served, load.requests, clients)
    agree(f"each request to {peer.name} reached an app: they", await _asked(port) - asked, load.requests, clients)
    return load


async def _asked(port: int) -> int:
    return int(await web.ask(f"http://127.0.0.1:{port}/count"))

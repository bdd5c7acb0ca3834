"""R3: how long after a change the first request for a new route is answered."""

import asyncio
import json
import signal
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.run import Run
from bench.common.web import Poller
from bench.router.backends import open_backends
from bench.router.grid import Grid, open_grid
from bench.router.peers import caddy, flynn, nginx, traefik
from bench.router.peers.peer import Peer
from bench.router.site import ASKED, ROUTES, Site, names
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Route
from flynn.core.store import Put

SIZES = (1_000, ROUTES, 100_000)

ADDED = 60
"""Routes that are added to flynn in one round; the median of them counts."""

LIMIT = 60.0
"""Seconds within which a change must be seen."""

REST = 3.0
"""Seconds between two changes of Traefik's file: those that follow sooner wait for each other."""

LISTED = "caddy, one list of names"
"""For information: no list can lead its names to different apps."""

BOUNDS = {"nginx": ("R3b", 1 / 100), "caddy": ("R3c", 1 / 100), "traefik": ("R3d", 1 / 300)}


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(work))
        grids = {}
        for size in SIZES:
            facts = flynn.records(Site(names(size), backends.ports))
            grids[size] = await stack.enter_async_context(open_grid(work / str(size), facts))
        peers = await _peers(stack, work, Site(names(ROUTES), backends.ports))
        own: dict[int, list[Seen]] = {size: [] for size in SIZES}
        theirs: dict[str, list[float]] = {peer.peer.name: [] for peer in peers}
        for number in range(run.rounds):
            for size, seen in (await _medians(grids, number * ADDED)).items():
                own[size].append(seen)
            for changing in peers:
                theirs[changing.peer.name].append(await asyncio.to_thread(_seen, changing, f"fresh{number}.test"))
            await asyncio.sleep(REST)
    return _figures(run, own, theirs)


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds until the first 200: since the commit was acknowledged, and since it was sent."""

    committed: float
    sent: float


async def _medians(grids: Mapping[int, Grid], first: int) -> dict[int, Seen]:
    """Add to each in turn, each as often first as the others: what else the machine does meets all alike."""
    seen: dict[int, list[Seen]] = {size: [] for size in grids}
    sizes = list(grids)
    for number in range(first, first + ADDED):
        for size in sizes:
            seen[size].append(await _added(grids[size], f"fresh{number}.test"))
        sizes.append(sizes.pop(0))
    return {
        size: Seen(statistics.median(s.committed for s in all), statistics.median(s.sent for s in all))
        for size, all in seen.items()
    }


async def _added(grid: Grid, host: str) -> Seen:
    """Add a route to flynn's etcd, and ask for it until it is there."""
    poller = Poller(grid.peer.port, host)
    _unknown(grid.peer, poller, host)
    sent = time.perf_counter()
    await grid.store.commit([Put(keys.route(host), encode(Route(id=host, domain=host, service="s")))])
    committed = time.perf_counter()
    first = _first(grid.peer, poller, host)
    poller.close()
    return Seen(first - committed, first - sent)


@dataclass(frozen=True)
class Changing:
    """A peer, and how a route is added to it: `prepare` is not measured, from `change` on it is."""

    peer: Peer
    prepare: Callable[[str], None]
    change: Callable[[str], None]


async def _peers(stack: AsyncExitStack, work: Path, told: Site) -> list[Changing]:
    reloading = await stack.enter_async_context(nginx.open_nginx(work, told, reloads=True))
    routed = await stack.enter_async_context(caddy.open_caddy(work, told, each=True))
    listed = await stack.enter_async_context(caddy.open_caddy(work, told, name=LISTED))
    watching, dir = await stack.enter_async_context(traefik.open_traefik(work, told))
    for peer in (reloading, routed[0], listed[0], watching):
        await peer.knows(ASKED)

    def ready(host: str) -> None:
        (work / "nginx" / "names").write_text(nginx.server_names(told.with_host(host)))

    def reload(host: str) -> None:
        reloading.process.popen.send_signal(signal.SIGHUP)

    return [
        Changing(reloading, ready, reload),
        Changing(routed[0], _nothing, lambda host: _put(host, told, *routed)),
        Changing(listed[0], _nothing, lambda host: _put(host, told, *listed)),
        Changing(watching, lambda host: traefik.write(dir, told.with_host(host)), lambda host: traefik.publish(dir)),
    ]


def _nothing(host: str) -> None:
    pass


def _put(host: str, told: Site, peer: Peer, admin: int) -> None:
    """Tell Caddy's API of one more route."""
    body = json.dumps(caddy.route([host], told, peer.port)).encode()
    url = f"http://127.0.0.1:{admin}/config/apps/http/servers/s/routes/0"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request, timeout=LIMIT).close()


def _seen(changing: Changing, host: str) -> float:
    """Seconds from the change to the first 200."""
    poller = Poller(changing.peer.port, host)
    changing.prepare(host)
    _unknown(changing.peer, poller, host)
    begun = time.perf_counter()
    change = threading.Thread(target=changing.change, args=(host,))
    change.start()
    first = _first(changing.peer, poller, host)
    change.join()
    poller.close()
    return first - begun


def _unknown(peer: Peer, poller: Poller, host: str) -> None:
    if (status := poller.status()) != 404:
        raise NotMeasured(f"{peer.name} answers {status} for {host}, which it cannot know yet")


def _first(peer: Peer, poller: Poller, host: str) -> float:
    """The moment of the first 200."""
    end = time.perf_counter() + LIMIT
    while poller.status() != 200:
        if time.perf_counter() > end:
            raise NotMeasured(f"{peer.name} does not know {host} after {LIMIT:g} s")
    return time.perf_counter()


def _figures(run: Run, own: dict[int, list[Seen]], theirs: dict[str, list[float]]) -> list[Figure]:
    best = {size: min(s.committed for s in seen) for size, seen in own.items()}
    ours = best[ROUTES]
    rows = [
        [f"{ours / best[size]:.4f}", f"flynn, {size} routes", f"{best[size] * 1000:.2f}", f"{_sent(seen) * 1000:.2f}"]
        for size, seen in own.items()
    ]
    rows += [
        [f"{ours / min(seen):.4f}", f"{name}, {ROUTES} routes", f"{min(seen) * 1000:.2f}", ""]
        for name, seen in theirs.items()
    ]
    run.show(["flynn : it", "", "ms from the change to a 200", "with the commit itself"], rows)
    what = f"slowest : fastest at {', '.join(map(str, SIZES))} routes"
    flat = Figure("R3a", max(best.values()) / min(best.values()), "<=", 1.3, f"a route added, {what}")
    return [flat] + [
        Figure(id, ours / min(theirs[name]), "<=", bound, f"a route added at {ROUTES}, flynn : {name}")
        for name, (id, bound) in BOUNDS.items()
    ]


def _sent(seen: list[Seen]) -> float:
    return min(s.sent for s in seen)

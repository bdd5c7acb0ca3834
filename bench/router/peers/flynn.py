"""flynn itself: a daemon with its router alone, over a store that was filled before it started."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.common import daemon, machine, web
from bench.common.daemon import HOST, Records, fill
from bench.common.ports import free_ports
from bench.common.processes import START, expecting
from bench.router.peers.peer import Peer
from bench.router.site import Site
from flynn.core import keys
from flynn.core.model import Instance, Route
from flynn.core.sqlite import open_sqlite


def records(site: Site, service: str = "s") -> Records:
    """The routes and instances that make the site. Without a lease: they stay."""
    routes = {keys.route(host): Route(id=host, domain=host, service=service) for host in site.hosts}
    return {**routes, **instances(service, {f"i{port}": {"address": f"127.0.0.1:{port}"} for port in site.ports})}


def instances(service: str, places: Mapping[str, Mapping[str, Any]]) -> Records:
    """Instances of a service by their id: `address`, and `socket` if it has one."""
    return {
        keys.instance(service, id): Instance(id=id, service=service, host=HOST, **place) for id, place in places.items()
    }


@dataclass(eq=False)
class Daemon(daemon.Daemon):
    """A `flynn daemon --bricks router`; `port` is its router's."""

    port: int = 0

    async def statistics(self) -> dict[str, Any]:
        """`GET /v1/router/stats`."""
        told: dict[str, Any] = json.loads(await web.ask(f"{self.url}/v1/router/stats", self.token))
        return told

    async def served(self) -> int:
        """Requests answered, by its own counters."""
        return answered(await self.statistics())

    async def reached(self, revision: int, limit: float = START) -> None:
        """Wait until its table has all up to a commit. NotMeasured."""
        with expecting(f"flynn routes by revision {revision}", limit):
            async with asyncio.timeout(limit):
                while (await self.statistics())["revision"] < revision:
                    await asyncio.sleep(0.02)


def answered(statistics: Mapping[str, Any]) -> int:
    """Answers of all services, whatever their status."""
    return sum(sum(service["answers"].values()) for service in statistics["services"].values())


def connections(statistics: Mapping[str, Any]) -> tuple[int, int]:
    """How often a connection to an app was used again, and how often one was opened."""
    counted = [service["connections"] for service in statistics["services"].values()]
    return sum(c["reused"] for c in counted), sum(c["opened"] for c in counted)


@asynccontextmanager
async def open_daemon(work: Path, facts: Iterable[Records] = (), etcd: str = "") -> AsyncIterator[tuple[Daemon, Peer]]:
    """flynn for the length of a block, its data in `work/flynn`; its own store filled with `facts`, or etcd."""
    data = work / "flynn"
    data.mkdir(parents=True)
    if not etcd:
        async with open_sqlite(data / "store.db") as store:
            for part in facts:
                await fill(store, part)
    port, api = free_ports(2)
    told = ["--http-port", str(port), "--bricks", "router", "--set", "router.bind=127.0.0.1"]
    alone = ["taskset", "-c", str(machine.cores()[0])]
    own = Daemon(data, etcd, api, told, alone, port=port)
    async with daemon.running(own) as process:
        yield own, Peer("flynn", own.port, process, own.served)

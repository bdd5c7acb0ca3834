"""flynn itself: a daemon with its router alone, over a store that was filled before it started."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.router import machine, web
from bench.router.errors import NotMeasured
from bench.router.peers.peer import Peer
from bench.router.processes import START, Process, expecting, start
from bench.router.site import Site, free_ports
from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Instance, Record, Route
from flynn.core.sqlite import open_sqlite
from flynn.core.store import COMMIT_LIMIT, Put, Store

Records = Mapping[str, Record]

HOST = "bench"
"""The name of the daemon's machine: instances on it may be reached over a UNIX socket."""

COMMITS = 8
"""Commits under way at the same time while a store is filled."""


def records(site: Site, service: str = "s") -> Records:
    """The routes and instances that make the site. Without a lease: they stay."""
    routes = {keys.route(host): Route(id=host, domain=host, service=service) for host in site.hosts}
    return {**routes, **instances(service, {f"i{port}": {"address": f"127.0.0.1:{port}"} for port in site.ports})}


def instances(service: str, places: Mapping[str, Mapping[str, Any]]) -> Records:
    """Instances of a service by their id: `address`, and `socket` if it has one."""
    return {
        keys.instance(service, id): Instance(id=id, service=service, host=HOST, **place) for id, place in places.items()
    }


async def fill(store: Store, facts: Records) -> None:
    """Write all of these into a store."""
    puts = [Put(key, encode(record)) for key, record in facts.items()]
    turns = asyncio.Semaphore(COMMITS)

    async def commit(part: Sequence[Put]) -> None:
        async with turns:
            await store.commit(part)

    async with asyncio.TaskGroup() as tasks:
        for at in range(0, len(puts), COMMIT_LIMIT):
            tasks.create_task(commit(puts[at : at + COMMIT_LIMIT]))


@dataclass(eq=False)
class Daemon:
    """A `flynn daemon --bricks router`, and what is needed to start the next one in its place."""

    data: Path
    etcd: str
    port: int
    api: int
    process: Process | None = None

    def start(self, *more: str) -> Process:
        """A daemon of these settings; `process` stays what it was."""
        told = ["--data", str(self.data), "--name", HOST, "--port", str(self.api), "--http-port", str(self.port)]
        told += ["--bricks", "router", "--set", "router.bind=127.0.0.1", *(["--etcd", self.etcd] if self.etcd else [])]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
        command = [sys.executable, "-m", "flynn", "daemon", *told, *more]
        return start("flynn", command, self.data.with_suffix(".log"), machine.cores()[0], environ)

    async def healthy(self, process: Process) -> None:
        """Wait until its bricks are ready. NotMeasured."""
        with expecting("flynn is healthy", START):
            async with asyncio.timeout(START):
                while not await self._healthy():
                    process.check()
                    await asyncio.sleep(0.05)

    async def _healthy(self) -> bool:
        try:
            await web.ask(f"http://127.0.0.1:{self.api}/health")
        except NotMeasured:
            return False
        return True

    async def statistics(self) -> dict[str, Any]:
        """`GET /v1/router/stats`."""
        token = json.loads((self.data / "client.json").read_text())["token"]
        told: dict[str, Any] = json.loads(await web.ask(f"http://127.0.0.1:{self.api}/v1/router/stats", token))
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
    daemon = Daemon(data, etcd, port, api)
    daemon.process = daemon.start()
    try:
        await daemon.healthy(daemon.process)
        yield daemon, Peer("flynn", daemon.port, daemon.process, daemon.served)
    finally:
        await daemon.process.stop()

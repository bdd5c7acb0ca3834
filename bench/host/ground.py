"""A daemon over an etcd of its own: it is ordered jobs as by a controller, and what becomes of them is watched."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.common.daemon import HOST, Daemon, Records, fill, running
from bench.common.etcd import etcd
from bench.common.ports import free_ports
from bench.common.processes import Process, expecting
from bench.host.fifo import Fifo, open_fifo
from flynn.client import open_client
from flynn.core import keys
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.facts import encode
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.model import Assignment, Instance, Job, JobState, State
from flynn.core.store import Delete, Put
from tests.etcd import running_etcd

APP = "bench"
CACHE = "begun"
"""The cache that has the FIFO; jobs see it as /cache."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

LIMIT = 60.0
"""Seconds within which a job must be where it is expected."""


@dataclass(frozen=True)
class Ground:
    """`mirror` follows the store that the daemon follows; `fifo` hears what its jobs say first."""

    store: EtcdStore
    mirror: Mirror
    daemon: Daemon
    process: Process
    fifo: Fifo

    def job(self, id: str, command: str, **fields: Any) -> Job:
        """A job that runs once, unless told otherwise."""
        told: dict[str, Any] = {"app": APP, "type": "run", "queue": "ephemeral", "cache": CACHE, "release": 1}
        return Job(id=id, command=command, created=1.0, **(told | fields))

    async def order(self, *jobs: Job) -> None:
        """Assign them to the host, in one commit."""
        found = [Assignment(job=job, host=HOST, assigned=1.0) for job in jobs]
        await self.store.commit([Put(keys.job(HOST, a.job.id), encode(a)) for a in found])

    async def state(self, wanted: State, *ids: str, limit: float = LIMIT) -> list[JobState]:
        """Wait until all of these are told to be in a state. NotMeasured."""
        places = [f"{HOST}/{id}" for id in ids]
        with expecting(f"{len(ids)} jobs are {wanted}", limit):
            facts = await self.mirror.until(
                lambda facts: all((s := facts.states.get(place)) and s.state == wanted for place in places), limit
            )
        return [facts.states[place] for place in places]

    async def instance(self, job: Job, limit: float = LIMIT) -> Instance:
        """Wait until a job is registered. NotMeasured."""
        key = f"{job.service}/{job.id}"
        with expecting(f"{job.id} is registered", limit):
            facts = await self.mirror.until(lambda facts: key in facts.services, limit)
        return facts.services[key]

    async def port(self, job: Job, limit: float = LIMIT) -> int:
        """Wait until the host has chosen the port of a job. NotMeasured."""
        place = f"{HOST}/{job.id}"
        with expecting(f"{job.id} has a port", limit):
            facts = await self.mirror.until(lambda facts: bool((s := facts.states.get(place)) and s.port), limit)
        return facts.states[place].port

    async def end(self, *jobs: Job) -> None:
        """Stop them, wait until they are down, and forget them. NotMeasured."""
        stopped = [Assignment(job=job, host=HOST, assigned=1.0, stop=True) for job in jobs]
        await self.store.commit([Put(keys.job(HOST, a.job.id), encode(a)) for a in stopped])
        await self.state("down", *(job.id for job in jobs))
        await self.store.commit([Delete(keys.job(HOST, job.id)) for job in jobs])

    async def put(self, blob: Path) -> str:
        """Put a blob on the shelf: its name."""
        async with open_client(self.daemon.url, self.daemon.token) as client:
            return (await client.put_blob(blob)).sha256

    def tree(self, sha256: str) -> Path:
        """Where the host has a layer unpacked, once a job has needed it."""
        return self.daemon.data / "host" / "layers" / sha256 / "tree"


@asynccontextmanager
async def open_ground(
    work: Path, bricks: str = "host,shelf", facts: Records = NOTHING, settings: Mapping[str, object] = NOTHING
) -> AsyncIterator[Ground]:
    """A daemon with these bricks for the length of a block, all of it under `work`. `facts` are in etcd before it
    starts. NotMeasured."""
    told = ["--bricks", bricks, "--backend", "sandbox"]
    told += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    [api] = free_ports(1)
    async with running_etcd(etcd(), work / "etcd") as cluster, open_etcd(cluster.urls) as store:
        await fill(store, facts)
        daemon = Daemon(work / "flynn", ",".join(cluster.urls), api, told)
        with open_fifo(work / "flynn" / "host" / "cache" / CACHE) as fifo:
            async with running(daemon) as process, open_mirror(store) as mirror:
                yield Ground(store, mirror, daemon, process, fifo)

"""A grid whose hosts are simulated: its facts, and a real leader over a real etcd that has them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.common.daemon import Daemon, Records, fill, running
from bench.common.etcd import etcd
from bench.common.ports import free_ports
from bench.common.processes import Process
from flynn.core import keys
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.etcd_rpc import rpc
from flynn.core.etcd_watch import range_end
from flynn.core.model import App, Artifact, Formation, Host, Job, Load, ProcessType, Queue, Record, Release
from tests.etcd import running_etcd

MEMBERS = 3
"""Of etcd."""

ZONES = 3
TYPE = "worker"
SLUG = Artifact(sha256="a" * 64, size=1)
NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


def host(number: int, memory: int = 8192, cpus: int = 4) -> Host:
    name = f"host-{number}"
    load = Load(load=0.1, memory_free=memory, disk_free=100_000, disk=200_000)
    return Host(
        name=name, address="127.0.0.1", url="http://127.0.0.1:1", started=1.0, memory=memory, cpus=cpus,
        backend="sandbox", tags={"zone": f"zone-{number % ZONES}"}, load=load,
    )  # fmt: skip


def hosts(count: int) -> Records:
    return {keys.host(each.name): each for each in map(host, range(count))}


def app(name: str, count: int = 0) -> Records:
    """An app whose release 1 serves, and which shall have `count` processes of TYPE."""
    process = ProcessType(command="exec sleep 1000000")
    release = Release(app=name, version=1, created=1.0, artifact=SLUG, processes={TYPE: process})
    return {
        keys.app(name): App(name=name, created=1.0, release=1),
        keys.release(name, 1): release,
        keys.formation(name): Formation(app=name, counts={TYPE: count}),
    }


def job(app: str, number: int, queue: Queue) -> Job:
    """What the controller would make of TYPE."""
    return Job(
        id=f"{app}-{TYPE}-{number:08x}", app=app, type=TYPE, queue=queue, command="exec sleep 1000000",
        created=1.0 + number / 1e6, release=1, layers={"app": SLUG.sha256},
    )  # fmt: skip


def merged(parts: Iterable[Records]) -> dict[str, Record]:
    return {key: record for part in parts for key, record in part.items()}


@dataclass(frozen=True)
class Grid:
    """What a measurement has of it. `daemon` can be started once the store is as it shall be."""

    store: EtcdStore
    daemon: Daemon

    async def count(self, prefix: str) -> int:
        """How many keys there are, as etcd counts them."""
        key = (keys.PREFIX + prefix).encode()
        request = rpc.RangeRequest(key=key, range_end=range_end(key), count_only=True)
        answer = await self.store.link.call(lambda endpoint, limit: endpoint.kv.Range(request, timeout=limit))
        return int(answer.count)


@asynccontextmanager
async def open_grid(
    work: Path, facts: Records, bricks: str = "controller", settings: Mapping[str, object] = NO_SETTINGS
) -> AsyncIterator[Grid]:
    """An etcd that has these facts, for the length of a block, and a daemon that is not yet started. NotMeasured."""
    told = ["--bricks", bricks]
    told += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    [api] = free_ports(1)
    async with running_etcd(etcd(), work / "etcd", MEMBERS) as cluster, open_etcd(cluster.urls) as store:
        await fill(store, facts)
        yield Grid(store, Daemon(work / "flynn", ",".join(cluster.urls), api, told))


@asynccontextmanager
async def leading(grid: Grid) -> AsyncIterator[Process]:
    """The daemon, ready, for the length of a block. NotMeasured."""
    async with running(grid.daemon) as process:
        yield process

"""flynn over an etcd of its own: for what changes while it is measured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.router.errors import NotMeasured
from bench.router.peers import flynn
from bench.router.peers.peer import Peer
from flynn.core.etcd import EtcdStore, open_etcd
from tests.etcd import binaries, running_etcd


@dataclass(frozen=True)
class Grid:
    """A daemon with its router, and the etcd that it follows, which this process writes to."""

    store: EtcdStore
    daemon: flynn.Daemon
    peer: Peer


def etcd() -> str:
    """The newest etcd there is. NotMeasured: there is none."""
    found = next((path for path in reversed(binaries().values()) if path and Path(path).exists()), None)
    if found is None:
        raise NotMeasured("there is no etcd; tests/engines.sh installs one")
    return found


@asynccontextmanager
async def open_grid(work: Path, facts: flynn.Records) -> AsyncIterator[Grid]:
    """All of it for the length of a block, under `work`; `facts` are in etcd before flynn starts. NotMeasured."""
    async with running_etcd(etcd(), work / "etcd") as cluster, open_etcd(cluster.urls) as store:
        await flynn.fill(store, facts)
        async with flynn.open_daemon(work, etcd=",".join(cluster.urls)) as (daemon, peer):
            yield Grid(store, daemon, peer)

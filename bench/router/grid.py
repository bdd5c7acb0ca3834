"""flynn over an etcd of its own: for what changes while it is measured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common.daemon import Records, fill
from bench.common.etcd import etcd
from bench.router.peers import flynn
from bench.router.peers.peer import Peer
from flynn.core.etcd import EtcdStore, open_etcd
from tests.etcd import running_etcd


@dataclass(frozen=True)
class Grid:
    """A daemon with its router, and the etcd that it follows, which this process writes to."""

    store: EtcdStore
    daemon: flynn.Daemon
    peer: Peer


@asynccontextmanager
async def open_grid(work: Path, facts: Records) -> AsyncIterator[Grid]:
    """All of it for the length of a block, under `work`; `facts` are in etcd before flynn starts. NotMeasured."""
    async with running_etcd(etcd(), work / "etcd") as cluster, open_etcd(cluster.urls) as store:
        await fill(store, facts)
        async with flynn.open_daemon(work, etcd=",".join(cluster.urls)) as (daemon, peer):
            yield Grid(store, daemon, peer)

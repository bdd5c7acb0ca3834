"""Real etcd processes for tests: on free ports of the loopback interface, their data in a directory that is given."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flynn.core.errors import Compacted, Unavailable
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.etcd_rpc import rpc
from tests.ports import free_port

REPOSITORY = Path(__file__).parent.parent

START = 20.0
"""Seconds in which an etcd must answer after it was started."""

COMPACTED = 60.0
"""Seconds in which it must forget a history, however long, also while its members find together."""


def binaries() -> dict[str, str | None]:
    """The etcd binaries to test with, by version; None: it is not there (see tests/engines.sh)."""
    newer = os.environ.get("ETCD35_BINARY", str(REPOSITORY / ".engines/etcd35/usr/bin/etcd"))
    return {"etcd-3.4": shutil.which(os.environ.get("ETCD_BINARY", "etcd")), "etcd-3.5": shutil.which(newer)}


@dataclass(eq=False)
class Member:
    """One etcd process, which can be killed, frozen and started again on its data."""

    binary: str
    name: str
    data: Path
    client: int
    peer: int
    cluster: str
    flags: Sequence[str] = ()
    process: asyncio.subprocess.Process | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.client}"

    async def start(self) -> None:
        """Start it; it answers some time later."""
        peer = f"http://127.0.0.1:{self.peer}"
        arguments = {
            "name": self.name,
            "data-dir": str(self.data),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": self.cluster,
            "logger": "zap",
            "log-outputs": str(self.data) + ".log",
        }
        told = [f"--{name}={value}" for name, value in arguments.items()]
        self.process = await asyncio.create_subprocess_exec(self.binary, *told, *self.flags)

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def freeze(self) -> None:
        """Stop it as SIGSTOP does: its connections stay open, nobody answers."""
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process
        os.kill(self.process.pid, signal.SIGCONT)


@dataclass(eq=False)
class Cluster:
    """The members of one etcd."""

    members: list[Member]

    @property
    def urls(self) -> list[str]:
        return [member.url for member in self.members]

    async def answers(self) -> None:
        """Wait until each of its living members answers a read that needs a leader."""
        async with asyncio.timeout(START):
            for member in self.members:
                if member.process and member.process.returncode is None:
                    await _answers(member)

    async def leader(self) -> Member:
        """The member that leads now."""
        for member in self.members:
            async with open_etcd([member.url]) as store:
                status = await status_of(store)
                if status.leader == status.header.member_id:
                    return member
        raise AssertionError("no member leads")


async def _answers(member: Member) -> None:
    while True:
        try:
            async with open_etcd([member.url]) as store:
                await store.get("grid")
                return
        except Unavailable:
            assert member.process
            assert member.process.returncode is None, f"etcd ended with {member.process.returncode}"


async def status_of(store: EtcdStore) -> rpc.StatusResponse:
    """What the member in use says of itself."""
    return await store.link.call(lambda e, t: e.client.maintenancestub.Status(rpc.StatusRequest(), timeout=t))


async def compact(store: EtcdStore, revision: int) -> None:
    """Make etcd forget what was before `revision`."""
    request, deadline = rpc.CompactionRequest(revision=revision, physical=True), time.monotonic() + COMPACTED
    with suppress(Compacted):  # A long history takes longer than one try: the first has done it.
        while True:
            try:
                await store.link.call(lambda e, t: e.kv.Compact(request, timeout=t))
                return
            except Unavailable:
                if time.monotonic() > deadline:
                    raise


@asynccontextmanager
async def running_etcd(binary: str, data: Path, size: int = 1, *flags: str) -> AsyncIterator[Cluster]:
    """An etcd of `size` members, up for the length of a block, its data under `data`."""
    data.mkdir(parents=True, exist_ok=True)
    ports = [(free_port(), free_port()) for _ in range(size)]
    cluster = ",".join(f"m{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports))
    members = [
        Member(binary, f"m{n}", data / f"m{n}", client, peer, cluster, flags) for n, (client, peer) in enumerate(ports)
    ]
    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.kill)
            await member.start()
        running = Cluster(members)
        await running.answers()
        yield running

"""`flynn daemon`, a process like any other, over a store that is filled by the measurement."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common import web
from bench.common.errors import NotMeasured
from bench.common.processes import START, Process, expecting, spawn
from flynn.core.facts import encode
from flynn.core.model import Record
from flynn.core.store import COMMIT_LIMIT, Put, Store

Records = Mapping[str, Record]

HOST = "bench"
"""The name of the daemon's machine."""

COMMITS = 8
"""Commits under way at the same time while a store is filled."""


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
    """A daemon, and what is needed to start the next one in its place. `told`: what is said to it besides its place;
    `before`: words that stand before its command."""

    data: Path
    etcd: str
    api: int
    told: Sequence[str]
    before: Sequence[str] = ()
    process: Process | None = None

    def start(self, *more: str) -> Process:
        """A daemon of these settings; `process` stays what it was."""
        told = ["--data", str(self.data), "--name", HOST, "--port", str(self.api), *self.told]
        told += ["--etcd", self.etcd] if self.etcd else []
        environ = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
        command = [*self.before, sys.executable, "-m", "flynn", "daemon", *told, *more]
        return spawn("flynn", command, self.data.with_suffix(".log"), environ)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api}"

    @property
    def token(self) -> str:
        return str(json.loads((self.data / "client.json").read_text())["token"])

    async def healthy(self, process: Process) -> None:
        """Wait until its bricks are ready. NotMeasured."""
        with expecting("flynn is healthy", START):
            async with asyncio.timeout(START):
                while not await self._healthy():
                    process.check()
                    await asyncio.sleep(0.05)

    async def _healthy(self) -> bool:
        try:
            await web.ask(f"{self.url}/health")
        except NotMeasured:
            return False
        return True


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[Process]:
    """The daemon for the length of a block, which begins when its bricks are ready. NotMeasured."""
    daemon.process = daemon.start()
    try:
        await daemon.healthy(daemon.process)
        yield daemon.process
    finally:
        await daemon.process.stop()

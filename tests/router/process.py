"""A router that is a process of its own, as in life: `python -m tests.router.process ADDRESS LIMITS`.

It prints its port, and ends when its input does. The other half of this file starts it and watches its memory.
"""

import asyncio
import gc
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import uvloop

from tests.router.rig import PATIENCE, Reply, Talk, open_rig


async def main(address: str, limits: dict[str, float]) -> None:
    raise_files()
    async with open_rig((), **limits) as rig:
        rig.show(address)
        gc.collect()
        gc.freeze()
        print(rig.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def raise_files() -> None:
    """Let this process have as many open files as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class Routing:
    """A router that runs. `before` is its memory when it began, in bytes, and `most` the most that it had since."""

    port: int
    process: psutil.Process
    before: int
    most: int

    def watch(self) -> None:
        self.most = max(self.most, self.process.memory_info().rss)

    @property
    def grown(self) -> int:
        """Bytes that its memory grew by, at its most."""
        self.watch()
        return self.most - self.before

    async def talk(self) -> Talk:
        return Talk(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))

    async def ask(self, data: bytes) -> Reply:
        """A request on a connection of its own."""
        talk = await self.talk()
        try:
            return await talk.ask(data)
        finally:
            await talk.close()


@asynccontextmanager
async def routing(address: str, **limits: float) -> AsyncIterator[Routing]:
    """A router before one app, for the length of a block, warm from some requests."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.router.process", address, json.dumps({"sweep": 0.25} | limits)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE):
            port = int(await process.stdout.readline())
        router = Routing(port, psutil.Process(process.pid), 0, 0)
        for _ in range(100):
            await router.ask(b"GET /first HTTP/1.1\r\nHost: app.test\r\n\r\n")
        router.before = router.most = router.process.memory_info().rss
        watching = asyncio.create_task(_watch(router))
        try:
            yield router
        finally:
            watching.cancel()
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch(router: Routing) -> None:
    while True:
        router.watch()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], json.loads(sys.argv[2])))

"""A host agent with all it needs: a node, and a shelf that is a dict behind real HTTP."""

import asyncio
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.logframe import Block
from flynn.core.logquery import Wanted
from flynn.core.model import Assignment, Instance, Job, JobState, Router
from flynn.core.store import Delete, Put, Store
from flynn.core.usage import Told
from flynn.plugins.host.brick import HostAgent
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.logs.past import Past
from tests.harness import TestNode, open_node
from tests.ports import free_port

HOST = "host-a"
LIMIT = 20.0

SERVER = """
import os, signal, socket, sys
if "SLOW" in os.environ: signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(os.environ["PORT"])))
print("serving", flush=True)
s.listen(16)
while True:
    c, _ = s.accept()
    c.sendall(f"{os.environ['FLYNN_JOB_ID']}\\n".encode())
    c.close()
"""
"""A server that says its job's name to each who connects."""

SERVE = "exec python3 -SE server.py"


def tar(**files: str) -> bytes:
    """A gzip'd tar of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@dataclass(eq=False)
class Shelf:
    """Blobs by digest; `asked` counts how often each was fetched."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def add(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked[name] = self.asked.get(name, 0) + 1
        if name not in self.blobs:
            raise web.HTTPNotFound
        return web.Response(body=self.blobs[name])

    async def put(self, request: web.Request) -> web.Response:
        self.blobs[request.match_info["name"]] = await request.read()
        return web.Response(status=201)

    @asynccontextmanager
    async def serving(self, store: Store) -> AsyncIterator[None]:
        app = web.Application(client_max_size=1 << 26)
        app.add_routes([web.get("/v1/blobs/{name}", self.get), web.put("/v1/blobs/{name}", self.put)])
        runner = web.AppRunner(app)
        await runner.setup()
        address = f"127.0.0.1:{free_port()}"
        await web.TCPSite(runner, *address.split(":")).start()  # type: ignore[arg-type]
        instance = Instance(id="shelf-1", service="shelf", address=address, host=HOST)
        await store.commit([Put(keys.instance("shelf", "shelf-1"), encode(instance))])
        try:
            yield
        finally:
            await runner.cleanup()


@dataclass(eq=False)
class Rig:
    """What a test does with a host: assign jobs, look at what comes of them."""

    node: TestNode
    shelf: Shelf
    config: HostConfig

    def job(self, id: str, command: str, **fields: Any) -> Job:
        """A service job of app `hello`, unless told otherwise; `files` are its `app` layer."""
        files = fields.pop("files", {"server.py": SERVER})
        fields.setdefault("layers", {"app": self.shelf.add(tar(**files))})
        told = {"app": "hello", "type": "worker", "queue": "services", "release": 3, "created": 1.0, **fields}
        return Job(id=id, command=command, **told)

    def web(self, id: str, command: str = SERVE, **fields: Any) -> Job:
        """A job that serves as `hello-web`."""
        return self.job(id, command, **{"type": "web", "service": "hello-web", **fields})

    async def assign(self, *jobs: Job, stop: bool = False, reason: str = "") -> None:
        found = [Assignment(job=job, host=HOST, assigned=1.0, stop=stop, reason=reason) for job in jobs]
        await self.node.store.commit([Put(keys.job(HOST, a.job.id), encode(a)) for a in found])

    async def unassign(self, id: str) -> None:
        await self.node.store.commit([Delete(keys.job(HOST, id))])

    async def routers(self, *routers: Router) -> None:
        await self.node.store.commit([Put(keys.router(router.host), encode(router)) for router in routers])

    async def state(self, id: str, wanted: str | Callable[[JobState], bool], limit: float = LIMIT) -> JobState:
        """The state of a job once it is `wanted`."""
        fits = (lambda state: state.state == wanted) if isinstance(wanted, str) else wanted
        try:
            facts = await self.node.mirror.until(
                lambda f: (s := f.states.get(f"{HOST}/{id}")) is not None and fits(s), limit
            )
        except TimeoutError:
            raise AssertionError(f"{id} is {self.node.mirror.facts.states.get(f'{HOST}/{id}')}") from None
        return facts.states[f"{HOST}/{id}"]

    def instance(self, id: str) -> Instance | None:
        return self.node.mirror.facts.services.get(f"hello-web/{id}")

    async def log(self, **query: str) -> list[dict[str, Any]]:
        async with self.node.http.get(f"{self.node.url}/v1/hosts/{HOST}/log", params=query) as response:
            assert response.status == 200
            return [json.loads(line) for line in (await response.read()).splitlines()]

    async def printed(self, id: str, stream: str = "stdout", n: str = "10000") -> list[str]:
        return [line["line"] for line in await self.log(job=id, n=n) if line["stream"] == stream]

    async def until_printed(self, id: str, *lines: str) -> None:
        """Wait until the job has printed these lines, and no others."""
        async with asyncio.timeout(LIMIT):
            while (found := await self.printed(id)) != list(lines):
                assert found == list(lines[: len(found)])
                await asyncio.sleep(0.02)

    async def usage(self, **query: str) -> Told:
        """What the host tells of itself, and of the jobs of the app that is asked for."""
        async with self.node.http.get(f"{self.node.url}/v1/hosts/{HOST}/usage", params=query) as response:
            assert response.status == 200
            return msgspec.json.decode(await response.read(), type=Told)

    def kept_lines(self, id: str, stream: str = "stdout", app: str = "hello") -> list[str]:
        """All that is in a job's log on disk."""
        past = Past(self.node.node.data / "host" / "logs" / app, Wanted(job=id, streams=(stream,)), 1)
        found = [line for frame in past.read(1 << 30, 1 << 60) if isinstance(frame, Block) for line in frame.lines()]
        past.close()
        return found

    async def until_told(self, id: str, text: str) -> None:
        """Wait until the agent has said this of a job."""
        async with asyncio.timeout(LIMIT):
            while text not in await self.printed(id, "flynn"):
                await asyncio.sleep(0.05)

    def running(self) -> Any:
        """The agent, for the length of a block; it leaves its jobs as a daemon does that stops."""
        return self.node.running(HostAgent(self.config))

    def dir(self, id: str) -> Path:
        return self.node.node.data / "host" / "jobs" / id

    async def end_all(self) -> None:
        """Leave no process behind: stop all jobs by an agent."""
        facts = self.node.mirror.facts
        await self.assign(*(a.job for a in facts.jobs.values()), stop=True) if facts.jobs else None
        async with self.running():
            for assignment in facts.jobs.values():
                await self.state(assignment.job.id, "down")


@asynccontextmanager
async def open_rig(data: Path, store: Store | None = None, **settings: Any) -> AsyncIterator[Rig]:
    """A host without an agent yet (`rig.running()`), which ends all its jobs after the block.

    `store`: default one in memory.
    """
    config = HostConfig(**{"stop_timeout": 5.0, "drain_timeout": 5.0, "boot_timeout": 15.0, **settings})
    shelf = Shelf()
    async with open_node(data, store) as node, shelf.serving(node.store):
        rig = Rig(node, shelf, config)
        try:
            yield rig
        finally:
            await rig.end_all()


async def ask(instance: Instance) -> str:
    """What a server says."""
    host, port = instance.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    said = await reader.read()
    writer.close()
    await writer.wait_closed()
    return said.decode().strip()


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists() if sys.platform == "linux" else True


Socket = aiohttp.ClientWebSocketResponse

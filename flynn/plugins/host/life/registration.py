"""A job's place in its service: put there once it answers, drained and taken away before it stops."""

import asyncio

from flynn.core import keys
from flynn.core.model import Instance, Job
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.life.drain import drained


class Registration:
    """`on`: whether the instance is (or may still be) in the store."""

    def __init__(self, ground: Ground, job: Job) -> None:
        self.ground, self.job = ground, job
        self.key = keys.instance(job.service, job.id)
        self.port = 0
        self._offered = ground.sockets.of(job.id) if job.service else None
        self.socket = self._offered.found if self._offered else ""
        """Where it answers as well, on this machine; it is told with the next `put`."""
        self.on = bool(job.service) and ground.ctx.mirror.facts.get(self.key) is not None

    async def put(self, port: int, draining: bool = False) -> int:
        """Register; the store's revision from which all can see it. Waits through an outage of the store."""
        self.on, self.port = True, port
        node = self.ground.ctx.node
        instance = Instance(
            id=self.job.id,
            service=self.job.service,
            address=f"{node.address}:{port}",
            host=node.name,
            job=self.job.id,
            socket=self.socket,
            meta={"app": self.job.app, "release": f"v{self.job.release}", "type": self.job.type},
            draining=draining,
        )
        return await self.ground.ctx.lease.put(self.key, instance)

    def look(self) -> bool:
        """Look at the UNIX socket; whether it is another now than at the last look."""
        before, self.socket = self.socket, self._offered.look() if self._offered else ""
        return self.socket != before

    async def clear(self) -> None:
        """Leave nothing of the socket behind."""
        if self._offered:
            await asyncio.to_thread(self._offered.remove)
            self.socket = ""

    def remove(self) -> None:
        """Unregister at once, as soon as the store answers."""
        if self.on:
            self.on = False
            self.ground.later(self._removed(), f"unregister {self.job.id}")

    async def _removed(self) -> None:
        if not self.on:  # Else it was put again before this came to begin.
            await self.ground.ctx.lease.delete(self.key)

    async def drain(self, port: int, timeout: float) -> bool:
        """Let routers send nothing new, wait until they are done; False: they were not within `timeout` seconds."""
        name = f"{self.job.service}/{self.job.id}"
        try:
            async with asyncio.timeout(timeout):
                revision = await self.put(port, draining=True)
                await self.ground.ctx.mirror.until(lambda facts: drained(facts, name, revision), timeout)
        except TimeoutError:
            return False
        return True

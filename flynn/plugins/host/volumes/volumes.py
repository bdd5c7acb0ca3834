"""The data of this host's jobs: given to those that start, kept for the next, deleted when the grid says so."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.facts import Facts
from flynn.core.model import Job, Mount, Stored
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.volumes import disk, permit
from flynn.plugins.host.volumes.holders import Holders
from flynn.plugins.host.volumes.plan import doomed

Later = Callable[[Coroutine[Any, Any, Any], str], None]
"""Does what it is given without waiting for it."""


class Volumes:
    """In `volumes` and `scratch` of the agent's directory. `permitted`: what jobs may have of the machine beside."""

    def __init__(self, ctx: Context, permitted: Sequence[str], later: Later) -> None:
        self.ctx, self.permitted, self.later = ctx, permitted, later
        self.root, self.scratch = ctx.data / "volumes", ctx.data / "scratch"
        self.holders = Holders()
        self._removing: set[str] = set()

    async def binds(self, job: Job, say: Callable[[str], None]) -> tuple[Bind, ...]:
        """What a job is given, once no other writes to what it writes to; `say` as `Holders.take`.

        NotStarted, Invalid: why it cannot have all of it.
        """
        if not job.mounts:
            return ()
        await self.holders.take(job, say)
        facts = self.ctx.mirror.facts
        found = [await asyncio.to_thread(self._bind, job, mount, facts) for mount in job.mounts]
        for mount, bind in zip(job.mounts, found, strict=True):
            if mount.volume and not mount.scratch and not self._known(facts, job.app, mount):
                self._tell(job.app, mount, bind.source)
        return tuple(found)

    def leave(self, job: Job) -> None:
        """It is down: others may write, and what was for it alone goes."""
        self.holders.leave(job)
        if any(mount.scratch for mount in job.mounts):
            self.later(self._drop(job.id), f"scratch of {job.id}")
        if job.mounts:
            self.look(self.ctx.mirror.facts)

    def look(self, facts: Facts) -> None:
        """Delete what is to be deleted and nobody has, and forget what is gone."""
        for stored in doomed(facts, self.ctx.host):
            if stored.id not in self._removing and not self.holders.uses(stored.id):
                self._removing.add(stored.id)
                self.later(self._remove(stored), f"delete the volume {stored.app}/{stored.name}")

    async def _drop(self, job: str) -> None:
        try:
            await asyncio.to_thread(disk.drop_scratch, self.scratch, job)
        except Exception:  # One directory of one job, which shall not end the agent.
            self.ctx.log.exception("the scratch directory of %s cannot be removed", job)

    async def _remove(self, stored: Stored) -> None:
        """What cannot be deleted is tried again by the next daemon."""
        try:
            problem = await asyncio.to_thread(disk.remove, self.root, stored.app, stored.name, stored.id)
        except Exception as error:  # As above.
            problem = repr(error)
        if problem:
            self.ctx.log.error("the volume %s of %s: %s; mend that and restart", stored.name, stored.app, problem)
            return
        self.ctx.log.info("deleted the volume %s of %s", stored.name, stored.app)
        await self.ctx.lease.delete(keys.stored(self.ctx.host, stored.app, stored.name))
        self._removing.discard(stored.id)

    def _bind(self, job: Job, mount: Mount, facts: Facts) -> Bind:
        if mount.source:
            source = permit.resolve(mount.source, mount.read_only, self.permitted, self.ctx.node.data)
        elif mount.scratch:
            source = disk.scratch(self.scratch, job.id, mount.volume)
        else:
            source = self._claim(job.app, mount, facts)
        return Bind(source, mount.path, mount.variable, mount.read_only, owned=bool(mount.volume))

    def _claim(self, app: str, mount: Mount, facts: Facts) -> Path:
        volume = facts.volumes.get(f"{app}/{mount.volume}")
        if volume is None or volume.id != mount.id or volume.deleting:
            raise NotStarted(
                f"cannot have its volume {mount.volume}, which was deleted; unmount it, or make and mount another"
            )
        if volume.host != self.ctx.host:
            raise NotStarted(
                f"cannot have its volume {mount.volume}, which is on {volume.host or 'no host yet'}, not here"
            )
        return disk.claim(self.root, app, mount, self._known(facts, app, mount))

    def _known(self, facts: Facts, app: str, mount: Mount) -> bool:
        """Whether the grid was told that its data is here."""
        stored = facts.stored.get(f"{self.ctx.host}/{app}/{mount.volume}")
        return stored is not None and stored.id == mount.id

    def _tell(self, app: str, mount: Mount, path: Path) -> None:
        host, since = self.ctx.host, self.ctx.clock()
        stored = Stored(app=app, name=mount.volume, id=mount.id, host=host, path=str(path), since=since)
        key = keys.stored(host, app, mount.volume)
        self.later(self.ctx.lease.put(key, stored, leased=False), f"tell of the volume {app}/{mount.volume}")

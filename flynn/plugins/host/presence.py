"""The host's own record in the grid: what this machine is and has, and why it takes no new job, if it takes none."""

import asyncio
import os
from collections.abc import Callable, Iterable

import psutil

from flynn import __version__
from flynn.core import keys
from flynn.core.model import Host, JobState
from flynn.core.room import MIB
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.tags import parse
from flynn.plugins.host.usage.beat import Beat

STOPPED = "its daemon was stopped"

GOODBYE = 2.0
"""Seconds that a daemon which stops waits until the grid knows of it; else its lease tells of it, when it ends."""


class Presence:
    """`begun()`: the states of all jobs that were begun here and are not forgotten; `trouble()` says what is wrong with
    the engine ("": nothing)."""

    def __init__(self, ground: Ground, begun: Callable[[], Iterable[JobState]], trouble: Callable[[], str]) -> None:
        self.ground, self.begun, self.trouble = ground, begun, trouble
        self.started = ground.ctx.clock()
        self.beat = Beat(ground.ctx, self.tell)
        self._left, self._refused = "", STOPPED

    @property
    def closed(self) -> str:
        """Why no job begins here ("": jobs do). One that has told that it takes no new job, or whose daemon before may
        have, begins none until it has told otherwise and sees what the leader has taken back meanwhile."""
        return self._full or self._refused

    async def tell(self) -> None:
        """Tell what this host is. Waits through an outage of the store."""
        if self._full:
            self._refused = self._full
            await self._tell_begun()
        host = self._host()
        self._refused = self._refused or host.full
        revision = await self.ground.ctx.lease.put(keys.host(host.name), host)
        if self._refused and not host.full:
            await self.ground.ctx.mirror.until(lambda facts: facts.revision >= revision, None)
        self._refused = host.full

    async def leave(self) -> None:
        """The daemon stops, and its jobs run on: those that it has not begun are begun elsewhere."""
        self._left = STOPPED
        try:
            async with asyncio.timeout(GOODBYE):
                await self.tell()
        except TimeoutError:
            self.ground.ctx.log.info("the grid could not be told in time that this daemon stops; its lease will end")

    @property
    def _full(self) -> str:
        return self._left or self.ground.disk.full

    async def _tell_begun(self) -> None:
        """So that no job which has begun is taken for one that has not, and taken back."""
        ctx, put = self.ground.ctx, dict[str, JobState]()
        told = ctx.mirror.facts.states
        while untold := [one for one in self.begun() if f"{ctx.host}/{one.id}" not in told and put.get(one.id) != one]:
            put |= {one.id: one for one in untold}  # Once more if there is a newer one, over which this may have come.
            await asyncio.gather(*(ctx.lease.put(keys.state(ctx.host, one.id), one, leased=False) for one in untold))

    def _host(self) -> Host:
        ground = self.ground
        node, config, choice = ground.ctx.node, ground.config, ground.choice
        return Host(
            name=node.name,
            address=node.address,
            url=node.url,
            started=self.started,
            version=__version__,
            memory=config.memory or psutil.virtual_memory().total // MIB,
            cpus=os.cpu_count() or 1,
            backend=choice.backend.name,
            lacks=choice.backend.lacks,
            mounts=config.mounts,
            images=choice.images is not None and not self.trouble(),
            networks=choice.backend.networks,
            image_networks=choice.images.networks if choice.images else ("host",),
            no_own=choice.backend.no_own,
            image_no_own=choice.images.no_own if choice.images else "",
            load=self.beat.load,
            full=self._full,
            tags=parse(config.tags),
        )

"""The engine's health, looked at again and again; and what it keeps for flynn that no job stands behind any more.

A container is left behind when the engine was away as it was to be removed, or made one long after it was asked to.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer
from aiodocker.volumes import DockerVolume

from flynn.core.brick import Context
from flynn.core.errors import FlynnError, StartError
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.engine import WORK, engine
from flynn.plugins.host.docker.images import Images, named, wanted
from flynn.plugins.host.docker.made import load
from flynn.plugins.host.docker.removal import discard

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks at an engine, and in which it must answer one."""

SWEEP = 60.0
"""Seconds between two looks for what is left behind."""

YOUNG = 120.0
"""Seconds before a container is judged: it may be about to be written down."""

RETRY = 30.0
"""Seconds between two tries of a backend that did not work yet."""


class EngineWatch:
    """`trouble` says what the engine lacks now; empty: nothing. `changed` is called when that is another, or what
    `backend` can give of network."""

    def __init__(self, ctx: Context, images: Images, backend: Backend, changed: Callable[[], None]) -> None:
        self.ctx, self.images, self.backend, self.changed = ctx, images, backend, changed
        self.trouble = ""

    async def run(self) -> None:
        """Look, for ever."""
        swept = 0.0
        while True:
            self._tell(await _health())
            if isinstance(self.backend, DockerBackend) and await self.backend.look(not self.trouble):
                self.changed()
            if not self.trouble and time.monotonic() - swept >= SWEEP:
                swept = time.monotonic()
                await sweep(self.ctx.data / "docker")
                if isinstance(self.backend, DockerBackend):
                    await self.backend.nets.leave()
                if self.ctx.mirror.stale_since is None:
                    facts = self.ctx.mirror.facts
                    releases = wanted(facts)
                    await self.images.keep(releases, named(facts, releases), facts.apps)
            await asyncio.sleep(LOOK)

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s; running jobs run on", trouble) if trouble else log.info("the Docker Engine answers again")
            self.trouble = trouble
            self.changed()


async def until_open(backend: Backend, pause: float = RETRY) -> None:
    """Try a backend until it works. That a disk is full, say, is no reason to give up."""
    while True:
        await asyncio.sleep(pause)
        try:
            return await backend.open()
        except (StartError, OSError) as error:
            log.debug("%s does not work yet: %s", backend.name, error)


async def sweep(data: Path, young: float = YOUNG) -> None:
    """Remove the containers that the backend of this directory made, and that no job's directory knows; and volumes
    without a container, as those that an engine with `live-restore` was restarted over (it counts a mount twice)."""
    ours = {"label": [f"flynn.data={data}"]}
    try:
        async with engine(WORK) as client:
            for one in await client.containers.list(all=True, filters=ours):
                if time.time() - one["Created"] >= young and not await asyncio.to_thread(_is_known, one):
                    await _discard(client, one)
            found = await client.volumes.list(filters={**ours, "dangling": ["true"]})
            for volume in found["Volumes"] or ():
                await _discard_volume(client, volume["Name"])
    except FlynnError as error:
        log.info("containers are not looked through now: %s", error)


async def _discard(client: Docker, one: DockerContainer) -> None:
    log.warning("the container %s has no job any more and is removed", one["Names"][0][1:])
    await discard(client, one.id)


async def _discard_volume(client: Docker, name: str) -> None:
    try:
        await DockerVolume(client, name).delete()
    except DockerError as error:
        log.debug("the volume %s stays until the engine is started anew: %s", name[:12], error.message)


def _is_known(one: DockerContainer) -> bool:
    made = load(Path(one["Labels"].get("flynn.dir", "")))
    return made is not None and made.id == one.id


async def _health() -> str:
    """Why the engine does not answer; empty if it does."""
    try:
        async with engine(LOOK) as client:
            await client.version()
    except FlynnError as error:
        return str(error)
    return ""

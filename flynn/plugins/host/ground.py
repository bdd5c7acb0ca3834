"""What the lives of all jobs of this host share."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.model import Job, JobState
from flynn.plugins.host.backends.backend import Backend, NotStarted
from flynn.plugins.host.backends.choice import IMAGES, Choice
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.disk.watch import DiskWatch
from flynn.plugins.host.docker.images import Images
from flynn.plugins.host.layers import Layers
from flynn.plugins.host.life.boots import Boots
from flynn.plugins.host.limits.host_kills import HostKills
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.ports import Ports
from flynn.plugins.host.sockets import Sockets
from flynn.plugins.host.turns import Turns
from flynn.plugins.host.volumes.volumes import Volumes

if TYPE_CHECKING:
    from flynn.plugins.host.docker.image_build import ImageBuild


@dataclass(eq=False)
class Ground:
    """`choice` starts processes; any of `backends` may have started those that run. `turns`: who may start now.

    `steady` is a clock that no one sets (seconds since the machine began), the same for each daemon of this machine.
    """

    ctx: Context
    config: HostConfig
    choice: Choice
    backends: Mapping[str, Backend]
    layers: Layers
    images: Images
    ports: Ports
    sockets: Sockets
    logs: Logs
    turns: Turns
    disk: DiskWatch
    tasks: asyncio.TaskGroup
    steady: Callable[[], float] = time.monotonic
    image_builds: "dict[str, ImageBuild]" = field(default_factory=dict)
    """What jobs may ask of the engine, by job."""

    changed: Callable[[], None] = lambda: None
    """Called when a job has another state than before."""

    boots: Boots = field(default_factory=Boots)
    kills: HostKills = field(default_factory=HostKills)
    volumes: Volumes = field(init=False)

    def __post_init__(self) -> None:
        self.volumes = Volumes(self.ctx, self.config.mounts, self.later)

    @property
    def jobs(self) -> Path:
        return self.ctx.data / "jobs"

    def backend_of(self, job: Job) -> Backend:
        """What a job is to run in. NotStarted: it is for a container, and nothing here runs those; or for another
        backend than what there is here."""
        found = self.choice.images if job.image or job.backend == IMAGES else self.choice.backend
        if found is None:
            what = f"runs no images, so not {job.image}" if job.image else "has no backend docker"
            raise NotStarted(f"this host {what}: no Docker Engine works with flynn here")
        if job.backend not in ("", found.name):
            raise NotStarted(f"this host does not offer the backend {job.backend} for it, but {found.name}")
        return found

    def later(self, what: Coroutine[Any, Any, Any], name: str) -> None:
        """Do it without waiting for it. What is given first begins first; nothing does once the agent is stopping."""
        try:
            self.tasks.create_task(what, name=name)
        except RuntimeError:
            # The agent is stopping. What it knows is on disk, and the next one tells it.
            what.close()

    def tell(self, state: JobState) -> None:
        """Write a job's state to the store, now or when it answers again; the newest wins."""
        self.later(self.ctx.lease.put(keys.state(state.host, state.id), state, leased=False), f"tell {state.id}")

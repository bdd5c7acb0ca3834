"""What the lives of all jobs of this host share."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.model import JobState
from flynn.plugins.host.backend import Backend
from flynn.plugins.host.choice import Choice
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.layers import Layers
from flynn.plugins.host.logs import Logs
from flynn.plugins.host.ports import Ports
from flynn.plugins.host.sockets import Sockets


@dataclass(eq=False)
class Ground:
    """`choice` starts processes; any of `backends` may have started those that run. `root` holds `jobs`, `cache`."""

    ctx: Context
    config: HostConfig
    choice: Choice
    backends: Mapping[str, Backend]
    layers: Layers
    ports: Ports
    sockets: Sockets
    logs: Logs
    tasks: asyncio.TaskGroup

    @property
    def jobs(self) -> Path:
        return self.ctx.data / "jobs"

    def later(self, what: Coroutine[Any, Any, Any], name: str) -> None:
        """Do it without waiting for it. What is given first begins first."""
        self.tasks.create_task(what, name=name)

    def tell(self, state: JobState) -> None:
        """Write a job's state to the store, now or when it answers again; the newest wins."""
        self.later(self.ctx.lease.put(keys.state(state.host, state.id), state, leased=False), f"tell {state.id}")

"""What the backend is told of a job."""

import os
from collections.abc import Mapping
from pathlib import Path

from flynn.core.model import Job
from flynn.plugins.host.backend import Spec
from flynn.plugins.host.environ import environ
from flynn.plugins.host.ground import Ground


def spec_of(ground: Ground, job: Job, port: int, layers: Mapping[str, Path]) -> Spec:
    """The process of a job; its directories are made. `port` 0: it has none."""
    dir = ground.jobs / job.id
    socket = ground.sockets.of(job.id) if port else None
    return Spec(
        id=job.id,
        command=job.command,
        env=environ(job, port, os.environ),
        layers=layers,
        dir=dir,
        cache=_made(ground.ctx.data / "cache" / job.cache) if job.cache else None,
        out=_made(dir / "out") if job.output else None,
        socket=socket.make() if socket else None,
        stdin=job.attached,
    )


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path

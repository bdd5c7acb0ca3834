"""What the backend is told of a job."""

import contextlib
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from flynn.core.model import BURST, Job
from flynn.plugins.host.backends.backend import Limits, Spec
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.life.environ import environ

WAITER = 'read -r code; exit "${code:-129}"'
"""The process of a job whose command runs beside it, on a terminal (`attend.py`)."""


def spec_of(
    ground: Ground,
    job: Job,
    port: int,
    layers: Mapping[str, Path],
    image: str = "",
    binds: tuple[Bind, ...] = (),
    cache: Path | None = None,
    under: tuple[Path, ...] = (),
) -> Spec:
    """The process of a job; its directories are made. `port` 0: it has none. `image`: the engine's name of it."""
    dir = ground.jobs / job.id
    socket = ground.sockets.of(job.id) if port else None
    return Spec(
        id=job.id,
        command=WAITER if job.terminal else job.command,
        env=environ(job, port, os.environ),
        layers=layers,
        under=under,
        dir=dir,
        cache=_used(cache) if cache else None,
        out=_made(dir / "out") if job.output else None,
        socket=socket.make() if socket else None,
        stdin=job.attached,
        image=image,
        limits=limits_of(job),
        binds=binds,
        network=job.network,
        app=job.app,
        port=port,
        ipv6=":" in ground.ctx.node.address,
        refused=others(ground) if job.network == "own" else (),
    )


def others(ground: Ground) -> tuple[str, ...]:
    """Where the other hosts of the grid answer, and its store."""
    hosts = {urlsplit(url if "//" in url else f"//{url}").hostname or "" for url in ground.ctx.node.etcd}
    hosts |= {host.address for host in ground.ctx.mirror.facts.hosts.values()}
    return tuple(sorted({*hosts, *ground.config.refused}))


def limits_of(job: Job) -> Limits:
    """What the job may take at most; builds and batch jobs yield to services. Nobody can be given more open files than
    this daemon could have itself."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(job.files, most) if most != resource.RLIM_INFINITY and job.files else job.files
    memory = job.memory_limit or BURST * job.memory
    return Limits(memory, job.cpu / 1000, job.pids, files, yields=job.queue != "services")


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _used(path: Path) -> Path:
    """What is not used for the longest time goes first when room is needed."""
    _made(path)
    with contextlib.suppress(PermissionError):  # It was given to the jobs' user.
        os.utime(path)
    return path

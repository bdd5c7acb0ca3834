"""Whether the engine sees this host's files: all that a container shares with the agent is told to it by paths."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from aiodocker import DockerError

from flynn.core.errors import FlynnError, StartError
from flynn.plugins.host.docker.engine import WORK, engine, place
from flynn.plugins.host.docker.roots import Roots


async def check_shared(data: Path, roots: Roots) -> None:
    """Make a container that shares a new file of `data`; it is never started.

    StartError: the engine has no such file, or makes no containers.
    """
    try:
        await _check(data, roots)
    except StartError:
        raise
    except FlynnError as error:
        raise StartError(f"no container can be made here: {error}") from None


async def _check(data: Path, roots: Roots) -> None:
    with NamedTemporaryFile(dir=data, prefix="seen-") as file:
        mount: dict[str, Any] = {"Type": "bind", "Source": file.name, "Target": "/seen", "ReadOnly": True}
        async with engine(WORK) as client:
            root = await roots.of_machine(client)
            told: dict[str, Any] = {"Image": root.image, "Entrypoint": ["-"], "Labels": {"flynn.data": str(data)}}
            try:
                container = await client.containers.create({**told, "HostConfig": {"Mounts": [mount]}})
            except DockerError as error:
                if file.name not in str(error.message):
                    raise
                raise StartError(_unseen(data)) from None
            await container.delete(force=True, v=True)


def _unseen(data: Path) -> str:
    return (
        f"the Docker Engine at {place()} does not see the directory {data}: it must run on this machine, "
        f"and if this daemon is in a container itself, the directory must be mounted there by the same path "
        f"(-v {data}:{data})"
    )

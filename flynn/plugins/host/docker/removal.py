"""Containers leave the engine, with all that is theirs there."""

import logging

from aiodocker import Docker, DockerError

from flynn.core.errors import FlynnError
from flynn.plugins.host.docker.engine import WORK, engine

log = logging.getLogger(__name__)


async def remove(id: str) -> None:
    """Remove a container, by id or name, with its volumes. What an engine that is away keeps, is removed later."""
    try:
        async with engine(WORK) as client:
            await discard(client, id)
    except FlynnError as error:
        log.warning("container %s is left for now: %s", id[:60], error)


async def discard(client: Docker, id: str) -> None:
    """The same for a client: its errors are told."""
    try:
        await client.containers.container(id).delete(force=True, v=True)
    except DockerError as error:
        if error.status != 404:
            raise

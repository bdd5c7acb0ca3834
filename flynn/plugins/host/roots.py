"""The root that a container gets: the machine's own system, or an image, with what that says of itself."""

import asyncio
from pathlib import Path
from typing import Any

from aiodocker import Docker, DockerError

from flynn.plugins.host import machine
from flynn.plugins.host.backend import NotStarted, Spec
from flynn.plugins.host.process import PATH
from flynn.plugins.host.recipe import Root, is_alone

READ_ONLY = "flynn.read-only"
"""A label by which an image says that it writes to none of its own files."""


async def root_of(client: Docker, spec: Spec, etc: Path) -> Root:
    """NotStarted: the image is not there, or has nothing to run. `etc`: the machine's `passwd` and `group` for jobs."""
    if not spec.image:
        return await _of_machine(client, etc)
    found = await _inspect(client, spec.image)
    if found is None:
        raise NotStarted(f"the engine has no image {spec.image}")
    return of_image(spec, found)


async def _of_machine(client: Docker, etc: Path) -> Root:
    """The engine keeps the few bytes that are its image, unless somebody has removed them."""
    name, packed = await asyncio.to_thread(machine.archive)
    if await _inspect(client, name) is None:
        await client.images.import_image(packed)
    return Root(name, tuple(machine.mounts(etc)), tuple(machine.covered()), PATH)


async def _inspect(client: Docker, name: str) -> dict[str, Any] | None:
    try:
        return await client.images.inspect(name)
    except DockerError as error:
        if error.status != 404:
            raise
        return None


def of_image(spec: Spec, found: dict[str, Any]) -> Root:
    """What an image says of itself. One that would be root is nobody instead. NotStarted: it has nothing to run."""
    config = found.get("Config") or {}
    command = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    if is_alone(spec) and not spec.command and not command:
        raise NotStarted(f"the image {spec.image} says no command to run; give the process type one")
    user = str(config.get("User") or "")
    writable = (config.get("Labels") or {}).get(READ_ONLY) != "true"
    return Root(found["Id"], command=command, user="" if is_root(user) else user, writable=writable)


def is_root(user: str) -> bool:
    """Whether a USER of an image is root, by name or number; the group does not matter."""
    name = user.partition(":")[0]
    return name in ("", "root") or (name.isdigit() and int(name) == 0)

"""The root that a container gets: the machine's own system, or an image, with what that says of itself."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiodocker import Docker, DockerError

from flynn.plugins.host.backends.backend import NotStarted, Spec
from flynn.plugins.host.backends.process import PATH
from flynn.plugins.host.docker import machine
from flynn.plugins.host.docker.recipe import Root, is_alone

READ_ONLY = "flynn.read-only"
"""A label by which an image says that it writes to none of its own files."""


class Roots:
    """`data`: the backend's directory, whose `etc` has the machine's `passwd` and `group` for jobs."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._shells: dict[str, bool] = {}

    async def of(self, client: Docker, spec: Spec) -> Root:
        """NotStarted: the image is not there, or has nothing to run."""
        if not spec.image:
            return await self.of_machine(client)
        found = await _inspect(client, spec.image)
        if found is None:
            raise NotStarted(f"the engine has no image {spec.image}")
        root = of_image(spec, found)
        if is_alone(spec) and not await self._has_shell(client, root.image):
            return without_shell(spec, root)
        return root

    async def of_machine(self, client: Docker) -> Root:
        """The engine keeps the few bytes that are its image, unless somebody has removed them."""
        name, packed = await asyncio.to_thread(machine.archive)
        if await _inspect(client, name) is None:
            await client.images.import_image(packed)
        return Root(name, tuple(machine.mounts(self.data / "etc")), tuple(machine.covered()), PATH)

    async def _has_shell(self, client: Docker, image: str) -> bool:
        """Looked up once, in a container that is never started."""
        if image not in self._shells:
            told: dict[str, Any] = {"Image": image, "Entrypoint": ["-"], "Labels": {"flynn.data": str(self.data)}}
            container = await client.containers.create(told)
            try:
                await container.get_archive("/bin/sh")
                self._shells[image] = True
            except DockerError as error:
                if error.status != 404:
                    raise
                self._shells[image] = False
            finally:
                await container.delete(force=True, v=True)
        return self._shells[image]


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


def without_shell(spec: Spec, root: Root) -> Root:
    """Then only what the image says can be run. NotStarted: the job has a command of its own."""
    if spec.command:
        raise NotStarted(f"the image {spec.image} has no /bin/sh, so it runs nothing but what it says itself")
    return replace(root, shell=False)


def is_root(user: str) -> bool:
    """Whether a USER of an image is root, by name or number; the group does not matter."""
    name = user.partition(":")[0]
    return name in ("", "root") or (name.isdigit() and int(name) == 0)

"""The root that a container gets: the machine's own system, or an image, with what that says of itself."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiodocker import Docker, DockerError
from aiodocker.containers import DockerContainer

from flynn.core.errors import Unavailable
from flynn.plugins.host.backends.backend import NotStarted, Spec
from flynn.plugins.host.backends.process import PATH
from flynn.plugins.host.docker import machine
from flynn.plugins.host.docker.recipe import Root, is_alone

PASSWD, PASSWD_LIMIT = "/etc/passwd", 1024 * 1024

READ_ONLY = "flynn.read-only"
"""A label by which an image says that it writes to none of its own files."""


class Roots:
    """`data`: the backend's directory, whose `etc` has the machine's `passwd` and `group` for jobs."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._shells: dict[str, bool] = {}
        self._roots: dict[tuple[str, str], bool] = {}

    async def of(self, client: Docker, spec: Spec) -> Root:
        """NotStarted: the image is not there, or has nothing to run."""
        if not spec.image:
            return await self.of_machine(client)
        found = await _inspect(client, spec.image)
        if found is None:
            raise NotStarted(f"the engine has no image {spec.image}")
        root = of_image(spec, found)
        if is_alone(spec) and root.user and await self._is_root(client, root.image, root.user):
            root = replace(root, user="")
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
        """Looked up once."""
        if image not in self._shells:
            async with self._looked_into(client, image) as container:
                self._shells[image] = await stat(client, container, "/bin/sh") is not None
        return self._shells[image]

    async def _is_root(self, client: Docker, image: str, user: str) -> bool:
        """Whether a user that the image names is root in the image's own list of users, looked up once.

        Where that is no file of a usual size, it may be: nobody can tell what the engine would make of it.
        """
        name = user.partition(":")[0]
        if (image, name) not in self._roots:
            async with self._looked_into(client, image) as container:
                found = await stat(client, container, PASSWD)
                is_usual = found is None or (not found["linkTarget"] and found["size"] <= PASSWD_LIMIT)
                text = await _text(container, PASSWD) if found and is_usual else ""
                self._roots[image, name] = not is_usual or may_be_root(name, text)
        return self._roots[image, name]

    @contextlib.asynccontextmanager
    async def _looked_into(self, client: Docker, image: str) -> AsyncIterator[DockerContainer]:
        """A container of the image that is never started, for the length of a block."""
        told: dict[str, Any] = {"Image": image, "Entrypoint": ["-"], "Labels": {"flynn.data": str(self.data)}}
        container = await client.containers.create(told)
        try:
            yield container
        finally:
            await container.delete(force=True, v=True)


async def stat(client: Docker, container: DockerContainer, path: str) -> dict[str, Any] | None:
    """What the engine tells of a file (Docker Engine API, "ContainerArchiveInfo"), without the file; None: no such."""
    url = f"{client.docker_host}/{client.api_version}/containers/{container.id}/archive"
    async with client.session.head(url, params={"path": path}) as told:
        if told.status == 404:
            return None
        if told.status != 200:
            raise Unavailable(f"the engine answers {told.status} {told.reason} when it is asked for {path} of an image")
        found: dict[str, Any] = json.loads(base64.b64decode(told.headers["X-Docker-Container-Path-Stat"]))
        return found


async def _text(container: DockerContainer, path: str) -> str:
    """A file of a container. It is read whole: know its size before."""
    with await container.get_archive(path) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        return file.read().decode(errors="replace") if file else ""


def may_be_root(name: str, passwd: str) -> bool:
    """Whether an engine may take a user, by name or number, for root. `passwd`: the text of passwd(5).

    It goes by the first line with that name, also if the name is a number, and takes a number there that is none for 0.
    """
    for line in passwd.splitlines():
        fields = line.strip().split(":")
        if fields[0] == name:
            return len(fields) < 3 or not _is_number(fields[2]) or int(fields[2]) == 0
    return not _is_number(name) or int(name) == 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


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
    return name in ("", "root") or (_is_number(name) and int(name) == 0)

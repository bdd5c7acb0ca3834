"""A daemon that is in a container itself, with the socket of the machine's engine given: it starts jobs beside it."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiodocker import Docker
from aiodocker.containers import DockerContainer

from flynn.plugins.host.docker import machine
from tests.cluster.grid import EXAMPLES, START, Grid, open_grid
from tests.docker import Engine
from tests.ports import free_port

HERE = Path(__file__).parents[2]


@dataclass(eq=False)
class Contained(Grid):
    """A grid of one node whose daemon runs in a container named like it; each start is a new container."""

    container: DockerContainer | None = None

    def recipe(self, image: str) -> dict[str, Any]:
        home = self.data.parent
        shared = [f"{path}:{path}" for path in (home, Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parent)]
        return {
            "Image": image,
            "Entrypoint": self.daemon_command(),
            "WorkingDir": str(HERE),
            "User": "0:0",
            "Env": [f"DOCKER_HOST={os.environ['DOCKER_HOST']}", *(f"{k}={v}" for k, v in self.environ.items())],
            "HostConfig": {
                "Init": True,
                "NetworkMode": "host",
                "PidMode": "host",
                "Binds": [*machine.mounts(Path("/etc")), f"{HERE}:{HERE}:ro", *shared],
                "Tmpfs": {"/tmp": "", "/run": ""} if not str(home).startswith("/tmp") else {},
            },
        }

    async def start(self) -> None:
        name, packed = machine.archive()
        async with Docker() as client:
            await client.images.import_image(packed)
            self.container = await client.containers.create(self.recipe(name))
            await self.container.start()
        await self.until(self.is_healthy, START, "the daemon is healthy")

    async def is_healthy(self) -> bool:
        return await self.answers()

    async def kill(self) -> None:
        async with Docker() as client:
            assert self.container
            await client.containers.container(self.container.id).delete(force=True)
        self.container = None

    async def clean(self) -> None:
        if self.container:
            await self.kill()
        await super().clean()


async def test_a_daemon_in_a_container_starts_jobs_beside_it(docker: Engine) -> None:
    async with open_grid("--set", "host.backend=docker", kind=Contained) as grid:
        await grid.ok("create", "site")
        await grid.ok("deploy", str(EXAMPLES / "static"), "-a", "site")
        page = await grid.get("site")
        assert page[0] == 200
        (before,) = await grid.jobs("site", "up")
        await grid.kill()
        await grid.start()
        (after,) = await grid.jobs("site", "up")
        assert (after["id"], after["pid"]) == (before["id"], before["pid"])
        assert await grid.get("site") == page
        await grid.ok("delete", "site", "--yes")


async def test_an_engine_that_does_not_see_the_data_directory_is_told_of(docker: Engine, tmp_path: Path) -> None:
    ports = f"--port {free_port()} --http-port {free_port()}"
    daemon = f"{sys.executable} -m flynn daemon {ports} --data {tmp_path} --set host.backend=docker"
    told = f"mount -t tmpfs none {tmp_path} && exec {daemon}"
    command = ["unshare", "--mount", "sh", "-c", told]
    said = await asyncio.to_thread(subprocess.run, command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert said.returncode != 0
    last = said.stderr.strip().splitlines()[-1]
    assert f"does not see the directory {tmp_path}/host/docker" in last
    assert f"-v {tmp_path}" in last

"""The brick in its node: what it tells of the host, and what it refuses to start with."""

import asyncio
import contextlib
import errno
import os
import subprocess
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.process import ProcessBackend
from flynn.plugins.host.brick import HostAgent
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.docker.engine_watch import until_open
from tests.harness import open_node
from tests.plugins.host.rig import open_rig


async def test_a_host_tells_what_it_is(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend="process", memory=512) as rig, rig.running() as ctx:
        host = rig.node.mirror.facts.hosts["host-a"]
        assert (host.memory, host.backend, host.url) == (512, "process", rig.node.url)
        assert host.cpus >= 1
        assert host.version
        assert ctx.sentence == "no jobs"
        await rig.assign(rig.job("worker-1", "exec sleep 60"))
        await rig.state("worker-1", "up")
        async with asyncio.timeout(5):
            while ctx.sentence != "1 of 1 jobs up":
                await asyncio.sleep(0.01)


async def test_what_a_killed_daemon_was_loading_is_removed(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend="process") as rig:
        data = rig.node.node.data / "host" / "docker"
        data.mkdir(parents=True)
        for name in (f"{'a' * 64}.image", f"{'b' * 64}.image.0a1b2c3d.part", "pulled"):
            (data / name).write_text("[]")
        async with rig.running():
            assert [path.name for path in data.iterdir()] == ["pulled"]


async def test_the_machines_memory_is_told(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend="auto") as rig, rig.running():
        host = rig.node.mirror.facts.hosts["host-a"]
        assert host.memory > 64
        assert host.backend in ("sandbox", "docker", "process")


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"backend": "magic"}, "known are: auto, docker, process, sandbox"), ({"ports": "x"}, "host.ports")],
)
async def test_what_it_does_not_start_with(tmp_path: Path, settings: dict[str, str], text: str) -> None:
    async with open_node(tmp_path) as node:
        with pytest.raises(StartError, match=text):
            await HostAgent(HostConfig(**settings)).run(node.context("host"))  # type: ignore[arg-type]


async def test_what_is_in_the_way_of_its_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "docker").touch()
    async with open_node(tmp_path) as node:
        with pytest.raises(StartError, match=r"cannot use \S+/host/docker\S*: (File exists|Not a directory); mend it"):
            await HostAgent(HostConfig()).run(node.context("host"))


async def test_a_backend_that_cannot_write_now_is_tried_again() -> None:
    """As when the disk is full."""

    class Backend(ProcessBackend):
        tries = 0

        async def open(self) -> None:
            self.tries += 1
            if self.tries < 3:
                raise OSError(errno.ENOSPC, "No space left on device")

    backend = Backend(Path())
    async with asyncio.timeout(5):
        await until_open(backend, 0.01)
    assert backend.tries == 3


async def test_a_full_disk_takes_nobodys_walls_away(tmp_path: Path) -> None:
    """As when a daemon is started again on one: no backend can be tried then, so it waits for room."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: ASYNC221
        pytest.skip("only root can mount a small disk")
    try:
        async with open_rig(data, backend="auto") as rig:
            async with rig.running():
                before = rig.node.mirror.facts.hosts["host-a"].backend
            with (data / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            ctx = rig.node.context("host")
            agent = asyncio.create_task(HostAgent(HostConfig()).run(ctx))
            async with asyncio.timeout(10):
                while not ctx.sentence.startswith("waits for room in"):
                    await asyncio.sleep(0.01)
                (data / "ballast").unlink()
                while ctx.sentence != "no jobs":
                    assert not agent.done()
                    await asyncio.sleep(0.01)
                assert rig.node.mirror.facts.hosts["host-a"].backend == before
                ctx.stopping.set()
                await agent
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)  # noqa: ASYNC221

"""Steps of Dockerfiles are held to the limits of their build, by a real engine."""

import asyncio
from pathlib import Path

import pytest
from aiodocker import Docker
from msgspec.structs import replace

from flynn.plugins.host.docker.heads import Heads
from flynn.plugins.host.docker.images import Images
from tests.docker import Engine
from tests.plugins.host.docker.lying_engine import open_lying
from tests.plugins.host.docker.test_image_build import build, known
from tests.plugins.host.docker.test_image_build import registry as registry
from tests.plugins.host.rig import Rig, open_rig
from tests.registry import Registry


async def test_a_build_takes_no_more_memory_than_it_may(rig: Rig, registry: Registry) -> None:
    eat = "RUN sh -c 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done'"
    files = {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\n{eat}\n"}
    await rig.assign(build(rig, "build-1", files, memory_limit=64))
    assert (await rig.state("build-1", "down")).exit_code == 1
    assert "returned a non-zero code: 137" in (await rig.printed("build-1"))[-1]


async def test_the_processes_of_a_step_come_to_an_end_and_its_files_do(rig: Rig, registry: Registry) -> None:
    base = f"FROM 127.0.0.1:{registry.port}/base:1\n"
    fork = f"{base}RUN ulimit -n\nRUN while :; do sleep 600 & sleep 0.02; done\n"  # It ends when it can fork no more.
    await rig.assign(replace(build(rig, "build-1", {"Dockerfile": fork}, pids=40), files=1000))
    assert (await rig.state("build-1", "down", 60)).exit_code == 1
    lines = [line.strip() for line in await rig.printed("build-1")]
    assert "1000" in lines
    assert [line for line in lines if "can't fork" in line], lines


async def test_a_step_that_names_a_container_as_the_builder_does_limits_none(
    rig: Rig, registry: Registry, docker: Engine
) -> None:
    async with Docker(docker.url) as client:
        await client.images.pull(f"127.0.0.1:{registry.port}/base:1")
        told = {"Image": f"127.0.0.1:{registry.port}/base:1", "Cmd": ["sleep", "60"]}
        other = await client.containers.create({**told, "HostConfig": {"NetworkMode": "none"}})
        try:
            say = f"RUN echo ' ---> Running in {other.id[:12]}'\n"
            files = {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\n{say}"}
            await rig.assign(build(rig, "build-1", files, pids=40))
            assert (await rig.state("build-1", "down")).exit_code == 0
            assert not (await other.show())["HostConfig"]["PidsLimit"]
        finally:
            await other.delete(force=True)


@pytest.mark.parametrize(("last", "code"), [("exit 7", 1), ("echo on", 0)])
async def test_what_the_builder_does_not_remove_is_removed_after_it(
    registry: Registry, docker: Engine, tmp_path: Path, last: str, code: int
) -> None:
    """As where it could not, which it passes over."""
    files = {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\nRUN echo first\nRUN {last}\n"}
    async with open_lying(docker, tmp_path) as liar, open_rig(tmp_path / "data", backend="docker") as rig:
        liar.amended |= {"forcerm=true": "forcerm=false", "&rm=true": "&rm=false"}
        async with rig.running():
            await rig.assign(build(rig, "build-1", files))
            assert (await rig.state("build-1", "down")).exit_code == code, await rig.printed("build-1")
            assert [name for name in await docker.left() if "build-1" not in name] == []
    await docker.forget_images()


async def test_what_the_engine_does_not_show_is_not_taken_for_a_step(
    registry: Registry, docker: Engine, tmp_path: Path
) -> None:
    base = f"127.0.0.1:{registry.port}/base:1"
    async with open_lying(docker, tmp_path) as liar, open_rig(tmp_path / "data", backend="docker") as rig:
        async with rig.running(), Docker(docker.url) as client:
            await client.images.pull(base)
            other = await client.containers.create({"Image": base, "Cmd": ["sleep", "60"]})
            files = {"Dockerfile": f"FROM {base}\nRUN echo ' ---> Running in {other.id[:12]}'\n"}
            with liar.lying(f"GET .*/containers/{other.id[:12]}/json", 500, b'{"message": "not now"}'):
                await rig.assign(build(rig, "build-1", files))
                assert (await rig.state("build-1", "down")).exit_code == 0, await rig.printed("build-1")
            assert liar.told == 1
            await other.show()
            await other.delete(force=True)
    await docker.forget_images()


def fill(file: str, size: int) -> str:
    return f"dd if=/dev/zero of={file} bs=1M count={size} 2>/dev/null"


@pytest.mark.parametrize(
    "steps",
    [
        f"RUN {fill('/a', 150)}; sleep 600",
        f"VOLUME /data\nRUN {fill('/data/a', 150)}; sleep 600",
        f"RUN {fill('/a', 60)}\nRUN {fill('/b', 60)}\nRUN echo never",
        f"RUN {fill('/a', 110)}\nCOPY large /b\nRUN echo never",
    ],
    ids=["while a step writes", "into a volume", "by layers", "while the builder makes the next layer"],
)
async def test_what_steps_write_is_held_to_the_disk_of_a_build(
    rig: Rig, registry: Registry, docker: Engine, steps: str
) -> None:
    at, data = f"127.0.0.1:{registry.port}/base:1", rig.node.node.data / "host"
    await known(rig, "hello")
    async with Docker(docker.url) as client, asyncio.TaskGroup() as tasks:
        await client.images.pull(at)
        before = await images(client)
        files = {"Dockerfile": f"FROM {at}\n{steps}\n", "large": "x" * 30_000_000}
        await rig.assign(build(rig, "build-1", files, disk=100))
        assert (await rig.state("build-1", "down", 60)).exit_code == 1
        lines = [line.strip() for line in await rig.printed("build-1")]
        assert "out of disk: limit 100 MiB for all that its steps write (builder.disk)" in lines[-1]
        assert "never" not in lines
        assert Heads(data / "docker" / "heads").told.kept == {}
        async with asyncio.timeout(30):  # The builder may be about to make one image more.
            while await images(client) != before:
                await Images(data, tasks).keep((), (), {"hello"})
    await rig.assign(build(rig, "build-2", {"Dockerfile": f"FROM {at}\nRUN echo made\n"}, disk=100))
    assert (await rig.state("build-2", "down")).exit_code == 0


async def images(client: Docker) -> set[str]:
    """All that the engine has, also those that no name leads to."""
    return {one["Id"] for one in await client.images.list(all=1)}

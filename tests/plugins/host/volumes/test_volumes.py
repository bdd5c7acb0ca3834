"""Data of jobs on a host with its agent: kept from job to job, one writer, gone only when the grid says so."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from flynn.core import keys
from flynn.core.errors import StartError
from flynn.core.facts import encode
from flynn.core.model import Mount, Volume
from flynn.core.store import Put
from flynn.plugins.host.backends.backend import Backend
from tests.plugins.host.rig import HOST, LIMIT, Rig, open_rig

DATA = Mount(path="/var/lib/data", volume="data", id="1")
WORK = Mount(path="/work", volume="work", id="2", scratch=True)
WRITE = 'echo "$FLYNN_JOB_ID" >>"$FLYNN_VOLUME_DATA/log"; '
STAY = "echo ready; exec sleep 600"


async def volume(rig: Rig, **fields: Any) -> None:
    """The volume `data` of the app, bound to this host."""
    told: dict[str, Any] = {"app": "hello", "name": "data", "id": "1", "created": 1.0, "host": HOST, **fields}
    made = Volume(**told)
    await rig.node.store.commit([Put(keys.volume(made.app, made.name), encode(made))])


def home(rig: Rig) -> Path:
    return rig.node.node.data / "host" / "volumes" / "hello" / "data"


async def stop(rig: Rig, *jobs: Any) -> None:
    await rig.assign(*jobs, stop=True)
    for job in jobs:
        await rig.state(job.id, "down")


async def test_data_is_there_after_a_job_was_replaced(backend: Backend, tmp_path: Path) -> None:
    """With each backend; and what shows it to the grid."""
    async with open_rig(tmp_path / "data", backend=backend.name) as rig, rig.running():
        await volume(rig)
        first, second = (
            rig.job(id, f'{WRITE} cat "$FLYNN_VOLUME_DATA/log"; {STAY}', mounts=(DATA,)) for id in ("db-1", "db-2")
        )
        await rig.assign(first)
        await rig.until_printed("db-1", "db-1", "ready")
        await stop(rig, first)
        await rig.assign(second)
        await rig.until_printed("db-2", "db-1", "db-2", "ready")
        facts = await rig.node.mirror.until(lambda f: bool(f.stored), 10)
        (stored,) = facts.stored.values()
        assert (stored.id, stored.path) == ("1", str(home(rig) / "data"))
        await stop(rig, second)


async def test_a_second_writer_waits_also_across_daemons(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig:
        await volume(rig)
        first, second = (rig.job(id, WRITE + STAY, mounts=(DATA,)) for id in ("db-1", "db-2"))
        async with rig.running():
            await rig.assign(first)
            await rig.until_printed("db-1", "ready")
        async with rig.running():
            await rig.assign(second)
            waits = await rig.state("db-2", lambda state: bool(state.reason))
            assert waits.reason == "waits: its volume data is still written to by db-1"
            assert (home(rig) / "data" / "log").read_text() == "db-1\n"
            await stop(rig, first)
            assert (await rig.state("db-2", "up")).reason == ""
            await rig.until_printed("db-2", "ready")
            assert (home(rig) / "data" / "log").read_text() == "db-1\ndb-2\n"
            await stop(rig, second)


@pytest.fixture
async def rig(tmp_path: Path) -> Any:
    """What the agent does alike with all backends."""
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        yield rig


async def test_missing_data_is_told_and_not_made_anew(rig: Rig) -> None:
    await volume(rig)
    once = rig.job("run-1", WRITE, mounts=(DATA,), queue="ephemeral")
    await rig.assign(once)
    await rig.state("run-1", "down")
    await rig.node.mirror.until(lambda f: bool(f.stored), 10)
    shutil.rmtree(home(rig))
    await rig.assign(rig.job("db-1", WRITE + STAY, mounts=(DATA,)))
    down = await rig.state("db-1", "down")
    assert down.failure == "start"
    assert f"the data is missing, {home(rig)}/data was there" in down.reason
    assert not home(rig).exists()


async def test_what_the_grid_does_not_know_of_this_host_is_not_made(rig: Rig) -> None:
    for id, fields, said in (
        ("db-1", {"id": "9"}, "its volume data, which was deleted"),
        ("db-2", {"host": "host-b"}, "its volume data, which is on host-b, not here"),
        ("db-3", {"deleting": True}, "its volume data, which was deleted"),
    ):
        await volume(rig, **fields)
        await rig.assign(rig.job(id, STAY, mounts=(DATA,)))
        assert said in (await rig.state(id, "down")).reason
    assert not home(rig).exists()


async def test_a_volume_is_deleted_once_nobody_has_it(rig: Rig) -> None:
    await volume(rig)
    job = rig.job("db-1", WRITE + STAY, mounts=(DATA,))
    await rig.assign(job)
    await rig.until_printed("db-1", "ready")
    await rig.node.mirror.until(lambda f: bool(f.stored), 10)
    await volume(rig, deleting=True)
    await rig.node.mirror.until(lambda f: f.volumes["hello/data"].deleting, 10)
    assert (home(rig) / "data" / "log").exists()
    await stop(rig, job)
    await rig.node.mirror.until(lambda f: not f.stored, 10)
    assert not home(rig).exists()


async def test_a_scratch_directory_is_each_jobs_own_and_goes_with_it(rig: Rig) -> None:
    command = 'ls "$FLYNN_VOLUME_WORK"; echo x >"$FLYNN_VOLUME_WORK/x"; '
    stays, ends = (rig.job(f"work-{n}", command + then, mounts=(WORK,)) for n, then in ((1, STAY), (2, "exit 1")))
    root = rig.node.node.data / "host" / "scratch"
    await rig.assign(stays, replace(ends, queue="ephemeral"))
    await rig.until_printed("work-1", "ready")
    assert (root / "work-1" / "work" / "x").exists()
    await rig.state("work-2", "down")
    assert await rig.printed("work-2") == []
    await stop(rig, stays)
    async with asyncio.timeout(LIMIT):
        while list(root.iterdir()):
            await asyncio.sleep(0.02)


async def test_directories_of_the_machine_by_permission(light_backend: Backend, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").mkdir()
    seen = Mount(path="/photos", source=str(photos))
    async with open_rig(tmp_path / "data", backend=light_backend.name, mounts=(str(photos),)) as rig, rig.running():
        facts = await rig.node.mirror.until(lambda f: HOST in f.hosts, 10)
        assert facts.hosts[HOST].mounts == (str(photos),)
        write = 'echo image >"$FLYNN_VOLUME_PHOTOS/one.jpg"'
        await rig.assign(rig.job("run-1", write, mounts=(seen,), queue="ephemeral"))
        assert (await rig.state("run-1", "down")).exit_code == 0
        assert (photos / "one.jpg").read_text() == "image\n"
        for id, source in (("run-2", f"{photos}/out"), ("run-3", "/etc")):
            refused = rig.job(id, "true", mounts=(replace(seen, source=source),), queue="ephemeral")
            await rig.assign(refused)
            assert "host.mounts in flynn.toml lists what jobs may" in (await rig.state(id, "down")).reason


async def test_a_permission_that_is_none_keeps_the_agent_from_starting(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process") as rig:
        rig.config = type(rig.config)(backend="process", mounts=("photos",))
        with pytest.raises(StartError, match=r"host\.mounts: 'photos' is no directory"):
            async with rig.running():
                pass
        rig.config = type(rig.config)(backend="process")

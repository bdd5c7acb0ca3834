"""A host whose disk fills up: nothing that runs breaks, nothing new starts, and all goes on once there is room."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.plugins.host.rig import HOST, LIMIT, SERVE, Rig, ask, open_rig
from tests.small import MIB, fill, free, mounted_disk, use_up_files

SIZE, RESERVE = 32, 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", SIZE) as found:
        yield found


@pytest.fixture
async def rig(disk: Path) -> AsyncIterator[Rig]:
    async with open_rig(disk, backend="process", disk_reserve=RESERVE) as rig, rig.running():
        yield rig


async def full(rig: Rig, wanted: bool) -> str:
    """What the host says of its disk, once it says something, or nothing."""
    facts = await rig.node.mirror.until(
        lambda f: (h := f.hosts.get(HOST)) is not None and bool(h.full) == wanted, LIMIT
    )
    return facts.hosts[HOST].full


async def test_no_job_begins_until_there_is_room(rig: Rig, disk: Path) -> None:
    """What runs answers on; a job that was placed anyway has no state, and begins by itself; one is told to stop."""
    await rig.assign(rig.web("web-1"))
    await rig.state("web-1", "up")
    ballast = fill(disk, 5 * MIB)
    told = await full(rig, True)
    assert told.startswith("its disk is nearly full (")
    assert told.endswith("MiB free of 32 MiB, reserve 8 MiB)")
    await rig.assign(rig.job("run-1", "echo here", queue="ephemeral"))
    await rig.assign(rig.job("run-2", "echo here", queue="ephemeral"), stop=True)
    assert (await rig.state("run-2", "down")).reason == "stopped"
    assert f"{HOST}/run-1" not in rig.node.mirror.facts.states
    instance = rig.instance("web-1")
    assert instance
    assert await ask(instance) == "web-1"
    ballast.unlink()
    assert await full(rig, False) == ""
    assert (await rig.state("run-1", "down")).exit_code == 0
    assert await rig.printed("run-1") == ["here"]


async def test_a_job_that_waits_for_its_turn_is_refused_and_one_that_crashed_is_not(disk: Path) -> None:
    """It would wait on if it were left to its queue; a restart is nothing new."""
    async with open_rig(disk, backend="process", disk_reserve=RESERVE, starts=1) as rig, rig.running():
        go = disk.with_name("go")
        await rig.assign(rig.web("web-1", f"until [ -e {go} ]; do sleep 0.05; done; {SERVE}"))
        await rig.state("web-1", "starting")
        await rig.assign(rig.job("late-1", "sleep 60", queue="ephemeral"))
        await rig.state("late-1", lambda state: state.reason.startswith("waits"))
        ballast = fill(disk, 5 * MIB)
        told = await full(rig, True)
        go.touch()
        up = await rig.state("web-1", "up")
        down = await rig.state("late-1", "down")
        assert (down.failure, down.reason) == ("start", f"host-a takes no new job: {told}")
        os.kill(up.pid, 9)
        await rig.state("web-1", lambda state: state.state == "up" and state.restarts == 1)
        ballast.unlink()


async def test_what_nobody_uses_goes_before_the_host_is_full(rig: Rig, disk: Path) -> None:
    """The longest unused first, caches among them; what a job uses stays."""
    noise = [os.urandom(MIB).hex() for _ in range(4)]
    jobs = [rig.job(f"run-{n}", "true", queue="ephemeral", files={"noise": noise[n]}) for n in range(3)]
    await rig.assign(rig.job("uses-1", "sleep 60", files={"noise": noise[3]}))
    await rig.state("uses-1", "up")
    for job in jobs:
        await rig.assign(job)
        await rig.state(job.id, "down")
    layers = disk / "host" / "layers"
    old = layers / jobs[0].layers["app"] / "size"
    os.utime(old, (1.0, 1.0))
    os.utime(layers / rig.node.mirror.facts.jobs[f"{HOST}/uses-1"].job.layers["app"] / "size", (0.5, 0.5))
    cache = disk / "host" / "cache" / "build-gone"
    cache.mkdir()
    (cache / "wheel").write_bytes(bytes(MIB))
    os.utime(cache, (0.0, 0.0))
    fill(disk, RESERVE * MIB + MIB)
    async with asyncio.timeout(LIMIT):
        while cache.exists() or old.exists():
            await asyncio.sleep(0.05)
    assert await full(rig, False) == ""
    left = {path.name for path in layers.iterdir() if not path.name.startswith(".")}
    kept = {rig.node.mirror.facts.jobs[f"{HOST}/{id}"].job.layers["app"] for id in ("uses-1", "run-2")}
    assert kept <= left
    assert free(disk) >= RESERVE * MIB * 5 // 4


async def test_a_slug_that_does_not_fit_is_refused_and_leaves_nothing(rig: Rig, disk: Path) -> None:
    """It takes half of the reserve at most; what was unpacked of it by then is gone."""
    for id, size in (("packed-1", 26), ("zeros-1", 40)):
        files = {f"f{n}": os.urandom(MIB // 2).hex() if id == "packed-1" else "x" * MIB for n in range(size)}
        await rig.assign(rig.job(id, "true", queue="ephemeral", files=files))
        down = await rig.state(id, "down")
        assert down.failure == "start"
        assert "cannot be" in down.reason
        assert "4 MiB would stay free on the disk" in down.reason
        assert [path.name for path in (disk / "host" / "layers").iterdir()] == []
    assert await full(rig, False) == ""


async def test_no_room_for_files(tmp_path: Path) -> None:
    """Inodes run out while a slug is unpacked: a clear refusal; then the host says so, until there are some again."""
    with mounted_disk(tmp_path / "disk", SIZE, 1000) as disk:
        async with open_rig(disk, backend="process", disk_reserve=1) as rig, rig.running():
            await rig.assign(rig.web("web-1"))
            await rig.state("web-1", "up")
            await rig.assign(rig.job("run-1", "true", queue="ephemeral", files={f"f{n}": "" for n in range(1000)}))
            down = await rig.state("run-1", "down")
            assert "cannot be unpacked" in down.reason
            assert "No space left on device" in down.reason
            many = use_up_files(disk, 10)
            assert await full(rig, True) == (
                f"its disk is nearly full (room for 10 more files of {os.statvfs(disk).f_files}, reserve 50)"
            )
            use_up_files(disk)
            instance = rig.instance("web-1")
            assert instance
            assert await ask(instance) == "web-1"
            shutil.rmtree(many)
            await full(rig, False)
            await rig.assign(rig.job("run-2", "echo here", queue="ephemeral"))
            assert (await rig.state("run-2", "down")).exit_code == 0


async def test_what_a_disk_that_is_full_to_the_brim_does_to_jobs(rig: Rig, disk: Path) -> None:
    """A job that prints goes on, and its log tells what it lacks; one that ends is down; a client hears why."""
    tick = "i=0; while :; do i=$((i+1)); echo $i || echo lost $i >>/dev/null; sleep 0.01; done 2>/dev/null"
    loud = "while sleep 0.05; do head -c 300000 /dev/zero | tr '\\0' '\\n'; done 2>/dev/null"
    await rig.assign(rig.job("tick-1", tick), rig.job("loud-1", loud, app="loud"))
    await rig.assign(rig.job("brief-1", "sleep 3; exit 3", queue="ephemeral", app="brief"))
    for id in ("tick-1", "loud-1"):
        up = await rig.state(id, "up")
    await rig.state("brief-1", lambda state: state.state != "starting")
    ballast = fill(disk)
    await full(rig, True)
    down = await rig.state("brief-1", "down")
    assert (down.exit_code, down.reason) == (3, "exited with code 3")
    raw = rig.dir("loud-1") / "stdout"
    size = raw.stat().st_size
    async with asyncio.timeout(LIMIT):
        while raw.stat().st_size < size + MIB // 2:
            await asyncio.sleep(0.05)
        while free(disk) > 64 * 1024:  # What it printed is let go of piece by piece, and it fills that again.
            await asyncio.sleep(0.01)
    before = await rig.printed("tick-1")
    ballast.unlink()
    await full(rig, False)
    async with asyncio.timeout(LIMIT):
        while len(found := await rig.printed("tick-1")) < len(before) + 20:
            await asyncio.sleep(0.05)
        while "exited with code 3" not in await rig.printed("brief-1", "flynn"):
            await asyncio.sleep(0.05)
    assert found == sorted(set(found), key=int)
    assert rig.node.mirror.facts.states[f"{HOST}/loud-1"].pid == up.pid
    assert rig.node.mirror.facts.states[f"{HOST}/loud-1"].restarts == 0
    told = [line["line"] for line in await rig.log(job="loud-1", stream="flynn")]
    said = [line for line in told if "were dropped" in line]
    assert said
    assert said[0].endswith("bytes of stdout were dropped: the disk of its host was full")


async def test_directories_that_belong_to_no_job_go(disk: Path) -> None:
    async with open_rig(disk, backend="process") as rig:
        async with rig.running():
            await rig.assign(rig.job("run-1", "echo here", queue="ephemeral"))
            await rig.state("run-1", "down")
        left = rig.dir("run-1") / "out"
        left.mkdir()
        (left / "slug.tgz").write_bytes(bytes(MIB))
        (rig.dir("run-1") / "stdout").write_bytes(bytes(MIB))
        async with rig.running():
            assert [path.name for path in rig.dir("run-1").iterdir()] == ["job.json"]

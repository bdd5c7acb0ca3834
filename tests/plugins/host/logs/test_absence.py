"""No daemon was there for long, and a job has printed gigabytes: the next one neither stalls nor fills the disk."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.plugins.host.rig import Rig, open_rig

MIB = 1024 * 1024
SIZE = 2048 * MIB
LINE = b"0123456789abcde\n"


def taken(dir: Path) -> int:
    """Bytes on disk of all files."""
    return sum(path.stat().st_blocks * 512 for path in dir.rglob("*") if path.is_file())


@pytest.mark.heavy
async def test_two_gigabytes_that_nobody_took_in(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 2 * SIZE:
        pytest.skip("there is too little room here for 2 GiB of output")
    async with open_rig(tmp_path / "data", backend="process", log_size=16) as rig:
        wait = 'while ! test -e "$CACHE_DIR/go"; do sleep 0.02; done; echo last; exec sleep 600'
        await rig.assign(rig.job("loud-1", wait, cache="c"), rig.job("other-1", wait, cache="d", app="other"))
        async with rig.running():
            await rig.state("loud-1", "up")
            await rig.state("other-1", "up")
        await asyncio.to_thread(_print, rig.dir("loud-1") / "stdout")
        assert taken(rig.dir("loud-1")) >= SIZE
        async with rig.running():
            assert taken(rig.node.node.data) < 64 * MIB, "it is freed before anything else begins"
            await _all_serve(rig)
            assert taken(rig.node.node.data) < 64 * MIB


def _print(raw: Path) -> None:
    with raw.open("ab", buffering=0) as file:
        for _ in range(SIZE // MIB):
            file.write(LINE * (MIB // len(LINE)))


async def _all_serve(rig: Rig) -> None:
    """Other jobs begin and are read at once; what could be kept of the loud one is there, to its last line, and what
    could not is told."""
    await rig.assign(rig.job("run-1", "echo here", queue="ephemeral", app="other"))
    await rig.state("run-1", "down")
    assert await rig.printed("run-1") == ["here"]
    for name in ("c", "d"):
        (rig.node.node.data / "host" / "cache" / name / "go").touch()
    async with asyncio.timeout(30):
        while (await rig.printed("loud-1", n="5"))[-1:] != ["last"]:
            await asyncio.sleep(0.05)
    said = [line["line"] for line in await rig.log(job="loud-1", stream="flynn", n="1000")]
    [dropped] = [line for line in said if "bytes of stdout were dropped" in line]
    assert SIZE - 16 * MIB < int(dropped.split()[0]) < SIZE
    await rig.until_printed("other-1", "last")

"""What a job with a limit of disk has written: measured only when it may be too much."""

import asyncio
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from flynn.core.model import Job
from flynn.core.room import MIB, Room
from flynn.plugins.host.docker.made import unborn
from flynn.plugins.host.life.spent import FILES, Spent, measure, over

SIZES = st.integers(0, 100 * MIB)
EMPTY = Room(10 << 30, 20 << 30, 5_000_000, 10_000_000)


def test_what_is_in_trees_is_counted_by_the_disk_it_takes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "full").write_bytes(os.urandom(MIB))
    with (tmp_path / "a" / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "a" / "out").symlink_to("/usr")
    spent = measure([tmp_path / "a", tmp_path / "none"], 10 * MIB, EMPTY)
    assert MIB <= spent.size < 2 * MIB
    assert spent.files == 5
    assert spent.excess(10 * MIB) == ""
    assert spent.excess(MIB // 2) == "out of disk: limit 512 KiB"
    assert Spent(0, FILES + 1, EMPTY).excess(MIB) == f"out of disk: limit {FILES} files"


KEEPS = """
import os, sys
file = open(sys.argv[1], "wb")
os.unlink(sys.argv[1])
file.write(os.urandom(2 << 20))
file.flush()
print(flush=True)
sys.stdin.read()
"""


async def test_what_a_job_has_deleted_counts_also_in_a_container(tmp_path: Path) -> None:
    """Nobody knows the first process of a container before it has begun; its state tells later."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KEEPS, str(tmp_path / "gone"), stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    standing = SimpleNamespace(
        job=Job(id="j", app="a", type="build", queue="builders", command="x", created=1.0, disk=1),
        dir=tmp_path,
        cache=None,
        kept=SimpleNamespace(process=unborn()),
        state=SimpleNamespace(host="a", pid=process.pid),
        ground=SimpleNamespace(steady=time.monotonic, disk=SimpleNamespace(leave=0)),
    )
    async with asyncio.timeout(20):
        assert await over(cast(Any, standing)) == "out of disk: limit 1 MiB"
    process.stdin.close()
    await process.wait()


@given(SIZES, SIZES, SIZES, st.integers(0, 1000))
def test_nothing_that_is_too_much_is_passed_over_as_long_as_nobody_makes_room(
    limit: int, before: int, written: int, others: int
) -> None:
    spent = Spent(before, 1, EMPTY)
    left = Room(EMPTY.free - written - others, EMPTY.size, EMPTY.free_files, EMPTY.files)
    if before + written > limit:
        assert not spent.is_surely_within(limit, left)

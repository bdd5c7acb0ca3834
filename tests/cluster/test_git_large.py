"""Large pushes stream through the daemon; two nodes take turns; what a shelf has lost comes again."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.cluster.grid import Grid, open_grid
from tests.cluster.pushing import created
from tests.etcd import running_etcd

pytestmark = pytest.mark.usefixtures("git_client")

QUICK = "--set", "controller.settle=0.1"

SIZE = 300 << 20

GROWTH = 64 << 20
"""Bytes of memory that the daemon may take more while a push comes."""


@pytest.mark.heavy
async def test_a_push_of_300_mb_streams_through_the_daemon() -> None:
    async with open_grid(*QUICK) as grid:
        work = await created(grid)
        await work.push()
        before = memory(grid)
        with (work.place / "large.bin").open("wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        await work.commit("Large", __slugignore="large.bin\n")
        await work.git("add", "large.bin")
        await work.git("commit", "-qm", "Large")
        async with watching(grid) as most:
            assert "of hello is up" in (await work.push()).err
        assert most[0] < before + GROWTH, f"from {before >> 20} to {most[0] >> 20} MiB"


async def test_a_push_over_the_limit_is_refused_with_the_limit() -> None:
    async with open_grid(*QUICK, "--set", "builder.push_limit=2") as grid:
        work = await created(grid)
        await work.commit("Large", large__bin=os.urandom(5 << 20))
        said = await work.push(ok=False)
        assert "the push is over 2 MiB" in said.err
        await work.git("reset", "-q", "--hard", "HEAD~1")
        assert "of hello is up" in (await work.push()).err


async def test_a_push_of_ten_thousand_files() -> None:
    async with open_grid(*QUICK) as grid:
        work = await created(grid)
        for number in range(10_000):
            folder = work.place / "data" / f"{number % 100}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.txt").write_text(f"line {number}\n" * 20)
        (work.place / ".slugignore").write_text("data\n")
        await work.git("add", "-A")
        await work.git("commit", "-qm", "Many")
        before = memory(grid)
        async with watching(grid) as most:
            assert "of hello is up" in (await work.push()).err
        assert most[0] < before + GROWTH


async def test_two_nodes_take_turns_and_what_one_has_lost_comes_again(any_etcd: str, tmp_path: Path) -> None:
    async with running_etcd(any_etcd, tmp_path / "etcd") as etcd:
        told = ("--etcd", *etcd.urls, *QUICK)
        async with open_grid(*told, "--name", "host-a") as one, open_grid(*told, "--name", "host-b") as two:
            work = await created(one)
            await work.push(work.url("hello", port=one.port), "main")
            for number, node in enumerate((two, one, two)):
                await work.commit(f"Turn {number}", GREETING=str(number))
                said = await work.push(work.url("hello", port=node.port), "main")
                assert f"=====> v{number + 2} of hello is up" in said.err
            await work.git("clone", "-q", work.url("hello", port=one.port), "../again")
            assert (work.place.parent / "again" / "GREETING").read_text() == "2"

            await one.stop()
            await two.until(lambda: hosts(two, 1), 60, "the node that stopped is gone")
            shutil.rmtree(two.data / "builder/git/hello.git")
            await work.commit("Alone", GREETING="alone")
            said = await work.push(work.url("hello", port=two.port), "main")
            assert "What was pushed before is lost with a shelf" in said.err
            await work.commit("On", GREETING="on")
            assert "lost" not in (await work.push(work.url("hello", port=two.port), "main")).err


async def test_a_deleted_app_takes_its_packs_along_and_another_of_its_name_begins_anew() -> None:
    async with open_grid(*QUICK) as grid:
        work = await created(grid)
        await work.push()
        await work.commit("Second", GREETING="x")
        await work.push()
        packs = set((await work.git("rev-parse", "HEAD")).split())
        before = await blobs(grid)
        await grid.ok("delete", "hello", "-y")
        await grid.until(lambda: fewer(grid, before, 4), 20, "two packs and their indexes are gone")
        await work.flynn("create", "hello")
        said = await work.push()
        assert "=====> v1 of hello is up" in said.err
        assert packs == {(await work.git("ls-remote", "flynn", "refs/heads/main")).split()[0]}


async def hosts(grid: Grid, count: int) -> bool:
    return len((await grid.ok("host", "--json")).json) == count


async def blobs(grid: Grid) -> int:
    return len((await grid.ok("blob", "ls", "--json")).json)


async def fewer(grid: Grid, before: int, count: int) -> bool:
    return await blobs(grid) <= before - count


def memory(grid: Grid) -> int:
    assert grid.process
    return int(psutil.Process(grid.process.pid).memory_info().rss)


@asynccontextmanager
async def watching(grid: Grid) -> AsyncIterator[list[int]]:
    """The most memory that the daemon has during a block."""
    most = [memory(grid)]

    async def look() -> None:
        while True:
            most[0] = max(most[0], memory(grid))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(look())
    try:
        yield most
    finally:
        task.cancel()

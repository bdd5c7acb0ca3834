"""An agent that begins on a full disk, and the caches of builds."""

import asyncio
import os
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.disk import first
from flynn.plugins.host.disk.caches import Caches
from flynn.plugins.host.disk.first import until_room
from tests.harness import open_node
from tests.small import MIB, fill, free, mounted_disk


async def test_it_waits_for_room(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 8) as disk:
        async with open_node(disk) as node:
            ctx = node.context("host")
            ballast = fill(disk)
            waiting = asyncio.create_task(until_room(ctx, MIB))
            async with asyncio.timeout(10):
                while not ctx.sentence.startswith(f"waits for room in {disk}"):
                    await asyncio.sleep(0.02)
            ballast.unlink()
            assert await asyncio.wait_for(waiting, 10)
            fill(disk)
            ctx.stopping.set()
            assert not await asyncio.wait_for(until_room(ctx, MIB), 10)


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "PATIENCE", 0.0)
    with mounted_disk(tmp_path / "disk", 8) as disk:
        async with open_node(disk) as node:
            ctx = node.context("host")
            fill(disk)
            with pytest.raises(StartError, match=r"no room in .* make some, and start again"):
                await until_room(ctx, MIB)


async def test_what_was_printed_meanwhile_makes_room(tmp_path: Path) -> None:
    """No daemon was there, and a job has filled the disk: what no log could hold goes first."""
    with mounted_disk(tmp_path / "disk", 16) as disk:
        async with open_node(disk) as node:
            ctx = node.context("host")
            raw = ctx.data / "jobs" / "loud-1" / "stdout"
            raw.parent.mkdir(parents=True)
            fill(disk).rename(raw)
            assert free(disk) == 0
            assert await asyncio.wait_for(until_room(ctx, 4 * MIB), 10)
            assert free(disk) > 12 * MIB


async def test_caches(tmp_path: Path) -> None:
    used: set[str] = set()
    caches = Caches(tmp_path / "cache", lambda: used)
    assert await caches.present() == []
    for at, name in enumerate(("build-a", "build-b")):
        (tmp_path / "cache" / name / "deep").mkdir(parents=True)
        (tmp_path / "cache" / name / "deep" / "wheel").write_bytes(os.urandom(MIB))
        os.utime(tmp_path / "cache" / name, (at, at))
    assert [(one.name, one.size, one.used) for one in sorted(await caches.present(), key=lambda one: one.name)] == [
        ("build-a", MIB, 0.0),
        ("build-b", MIB, 1.0),
    ]
    used.add("build-a")
    (tmp_path / "cache" / "build-a" / "more").write_bytes(os.urandom(MIB))
    await caches.drop("build-a")
    await caches.drop("build-b")
    await caches.drop("build-c")
    assert [one.name for one in await caches.present()] == ["build-a"]
    used.clear()
    assert [one.size for one in await caches.present()] == [2 * MIB]
    await caches.drop("build-a")
    assert list((tmp_path / "cache").iterdir()) == []


async def test_the_cache_of_an_app_that_is_gone_is_not_kept_for_another_of_its_name(tmp_path: Path) -> None:
    apps: list[str] | None = None
    for name in ("build-a", "build-b", "build-c", "other"):
        (tmp_path / name).mkdir()
    caches = Caches(tmp_path, lambda: {"build-b"}, lambda: apps)
    assert {one.name for one in await caches.present()} == {"build-a", "build-b", "build-c", "other"}
    apps = ["build-c"]
    assert {one.name for one in await caches.present()} == {"build-b", "build-c", "other"}

"""A program with pipes: what it is given, what it prints, and that nothing of it is left."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from flynn.core import child as module
from flynn.core.child import child
from tests.harness import ended

PATH = {"PATH": os.environ["PATH"]}


async def test_what_it_prints_and_how_it_ends(tmp_path: Path) -> None:
    words = ("sh", "-c", "pwd; echo $A >&2; cat; exit 7")
    async with child(words, tmp_path, PATH | {"A": "b"}) as process:
        assert process.stdin
        process.stdin.write(b"asked")
        process.stdin.close()
        assert process.returncode is None
        assert await process.output() == (f"{tmp_path}\nasked".encode(), b"b\n")
        assert process.returncode == await process.wait() == 7


async def test_without_questions_it_has_no_input_and_only_the_files_that_it_is_given(tmp_path: Path) -> None:
    near, far = os.pipe()
    with os.fdopen(near, "rb") as file:
        script = f"cat; echo hello > /dev/fd/{far}; ls /proc/self/fd"
        async with child(("sh", "-c", script), tmp_path, PATH, files=(far,), asks=False) as process:
            os.close(far)
            out, _ = await process.output()
            assert process.stdin is None
        assert file.read() == b"hello\n"
    assert set(map(int, out.split())) - {0, 1, 2, far} <= {3}, "3 is the directory that ls reads"


async def test_what_cannot_be_begun_leaves_nothing_open(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        async with child((tmp_path / "none",), tmp_path, PATH):
            pass
    assert psutil.Process().num_fds() == before


async def test_nothing_is_left_of_it_under_either_loop(tmp_path: Path) -> None:
    runners: tuple[Callable[[Coroutine[Any, Any, None]], None], ...] = (asyncio.run, uvloop.run)
    for run in runners:
        await asyncio.to_thread(run, asyncio.sleep(0))  # What a loop leaves itself.
        before = psutil.Process().num_fds()
        await asyncio.to_thread(run, _broken_off(tmp_path))
        assert psutil.Process().num_fds() == before, "all pipes are closed, whatever is in them"


async def _broken_off(tmp_path: Path) -> None:
    """Nobody reads what it prints without end, and what it began has its pipes."""
    async with asyncio.timeout(20):
        async with child(("sh", "-c", "sleep 300 & echo $!; exec yes"), tmp_path, PATH) as process:
            other = int(await process.stdout.readline())
        assert process.returncode == -15
        while not ended(other):
            await asyncio.sleep(0.01)


async def test_who_heeds_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TERM", 0.1)
    async with asyncio.timeout(20):
        async with child(("sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"), tmp_path, PATH) as process:
            await process.stdout.readline()
        assert process.returncode == -9


async def test_who_is_cancelled_while_it_is_asked_to_end_leaves_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        async with child(("sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"), tmp_path, PATH) as process:
            await process.stdout.readline()
            ending = asyncio.create_task(process.end())
            await asyncio.sleep(0)
            ending.cancel()
            assert await process.wait() == -9
        assert ending.cancelled()


async def test_where_the_kernel_cannot_tell_of_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(pid: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", none)
    async with asyncio.timeout(20), child((sys.executable, "-c", "print(1)"), tmp_path, PATH) as process:
        assert await process.output() == (b"1\n", b"")
        assert process.returncode == 0


async def test_who_is_cancelled_while_he_waits_leaves_it_to_others(tmp_path: Path) -> None:
    async with asyncio.timeout(20), child(("cat",), tmp_path, PATH) as process:
        waiting = asyncio.create_task(process.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert process.stdin
        process.stdin.close()
        assert await process.wait() == 0

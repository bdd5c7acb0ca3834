"""A file that a thread opens for somebody who is cancelled before, while and after it is opened."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from flynn.core.handed import handed, opened


async def test_who_waits_has_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    file = await opened(asyncio.to_thread, lambda: path.open("rb"))
    assert file
    assert file.read() == b"x"
    file.close()
    assert await opened(asyncio.to_thread, lambda: None) is None


async def test_who_is_cancelled_while_it_is_made_leaves_nothing() -> None:
    begun, go, undone = threading.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def make() -> str:
        begun.set()
        assert go.wait(10)
        return "made"

    def undo(made: str) -> None:
        assert made == "made"
        loop.call_soon_threadsafe(undone.set)

    waiting = asyncio.create_task(handed(asyncio.to_thread, make, undo))
    assert await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not undone.is_set()
    go.set()
    await asyncio.wait_for(undone.wait(), 10)


async def test_who_is_cancelled_as_it_comes_leaves_nothing(tmp_path: Path) -> None:
    files = list[BinaryIO]()

    def make() -> BinaryIO:
        files.append((tmp_path / "new").open("wb"))
        return files[0]

    async def cancelled(work: Callable[[], BinaryIO | None]) -> BinaryIO | None:
        await asyncio.to_thread(work)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await opened(cancelled, make)
    assert files[0].closed


async def test_what_cannot_be_made_is_told() -> None:
    def make() -> str:
        raise FileNotFoundError("x")

    with pytest.raises(FileNotFoundError):
        await handed(asyncio.to_thread, make, lambda made: pytest.fail(made))

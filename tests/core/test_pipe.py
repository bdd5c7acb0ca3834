"""Ends of pipes are closed once, on either loop: the number may be another file's by the second time."""

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop

from flynn.core.pipe import read_pipe, write_pipe

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])

New = Callable[[], asyncio.AbstractEventLoop]


def reading() -> asyncio.StreamReaderProtocol:
    return asyncio.StreamReaderProtocol(asyncio.StreamReader())


def is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Descriptors that were closed by other than libuv, and were not open."""
    twice: list[int] = []
    close = os.close

    def noted(file: int) -> None:
        if not is_open(file):
            twice.append(file)
        close(file)

    monkeypatch.setattr(os, "close", noted)
    return twice


@LOOPS
def test_each_end_is_closed_once(loop: New, closed: list[int]) -> None:
    async def both() -> None:
        near, far = os.pipe()
        ends = [await read_pipe(near, reading()), await write_pipe(far, reading())]
        for end in ends:
            end.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not is_open(near)
        assert not is_open(far)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(both())
    assert closed == []


@LOOPS
def test_who_is_cancelled_meanwhile_leaves_none_open(loop: New, closed: list[int]) -> None:
    async def cancelled() -> None:
        near, far = os.pipe()
        for file, connecting in ((near, read_pipe(near, reading())), (far, write_pipe(far, reading()))):
            task = asyncio.ensure_future(connecting)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(3):
                await asyncio.sleep(0)
            assert not is_open(file)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(cancelled())
    assert closed == []

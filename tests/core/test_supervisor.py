"""Bricks kept alive, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from flynn.core.brick import Context, NoConfig
from flynn.core.errors import StartError
from flynn.core.supervisor import CRASHES, Supervised, run_bricks
from tests.harness import TestNode, open_node

Work = Callable[[Context], Awaitable[None]]
LIMIT = 10.0


class Made:
    """A brick of one function, which notes what it does."""

    Config: type[Any] = NoConfig

    def __init__(self, name: str, work: Work) -> None:
        self.name, self.work = name, work

    async def run(self, ctx: Context) -> None:
        await self.work(ctx)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node:
        yield node


@pytest.fixture
def notes() -> list[str]:
    return []


def supervised(node: TestNode, name: str, work: Work) -> Supervised:
    return Supervised(Made(name, work), node.context(name), pause=0.001)


def steady(notes: list[str]) -> Work:
    async def work(ctx: Context) -> None:
        notes.append(f"{ctx.brick} starts")
        await asyncio.sleep(0.01)
        notes.append(f"{ctx.brick} ready")
        ctx.ready()
        await ctx.stopping.wait()
        notes.append(f"{ctx.brick} stops")

    return work


@asynccontextmanager
async def run(*bricks: Supervised) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event, "asyncio.Task[None]"]]:
    up, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_bricks(bricks, up, stop, ready_limit=0.5, stop_limit=0.3))
    try:
        async with asyncio.timeout(LIMIT):
            yield up, stop, task
    finally:
        stop.set()
        with suppress(StartError):
            await asyncio.wait_for(task, LIMIT)


async def test_they_start_in_order_and_stop_in_reverse(node: TestNode, notes: list[str]) -> None:
    async with run(*(supervised(node, name, steady(notes)) for name in "abc")) as (up, stop, task):
        await up.wait()
        assert notes == ["a starts", "a ready", "b starts", "b ready", "c starts", "c ready"]
        stop.set()
        await task
        assert notes[6:] == ["c stops", "b stops", "a stops"]


async def test_one_that_crashes_is_started_again_and_is_not_ready_meanwhile(node: TestNode) -> None:
    runs, ready = 0, []

    async def work(ctx: Context) -> None:
        nonlocal runs
        runs += 1
        ready.append(brick.ready.is_set())
        ctx.ready()
        if runs < 3:
            raise ValueError("oh")
        await ctx.stopping.wait()

    brick = supervised(node, "a", work)
    async with run(brick) as (up, stop, task):
        await up.wait()
        while brick.restarts < 2 or not brick.ready.is_set():
            await asyncio.sleep(0.005)
        assert ready == [False, False, False]
        stop.set()
        await task


@pytest.mark.parametrize("end", ["raises", "returns", "raises in a group"])
async def test_one_that_crashes_too_often_takes_all_down(node: TestNode, notes: list[str], end: str) -> None:
    async def work(ctx: Context) -> None:
        if end == "raises":
            raise ValueError("the cause")
        if end == "raises in a group":
            raise ExceptionGroup("many", [ExceptionGroup("more", [ValueError("the cause")])])

    words = "nobody told it to stop" if end == "returns" else r"ValueError\('the cause'\)"
    brick = supervised(node, "b", work)
    async with run(supervised(node, "a", steady(notes)), brick) as (up, _, task):
        with pytest.raises(StartError, match=f"the brick b crashed {CRASHES} times .*{words}.*Running jobs live on"):
            await task
        assert not up.is_set()
        assert notes[-1] == "a stops"
        assert brick.restarts == CRASHES


@pytest.mark.parametrize("group", [False, True])
async def test_one_that_cannot_start_says_why_at_once(node: TestNode, notes: list[str], group: bool) -> None:
    async def work(ctx: Context) -> None:
        error = StartError("port 80 is taken")
        raise ExceptionGroup("tasks", [ValueError("another"), error]) if group else error

    brick = supervised(node, "b", work)
    async with run(supervised(node, "a", steady(notes)), brick) as (_, _, task):
        with pytest.raises(StartError, match="port 80 is taken"):
            await task
        assert brick.restarts == 0
        assert notes[-1] == "a stops"


async def test_one_that_is_never_ready_is_named(node: TestNode) -> None:
    async def work(ctx: Context) -> None:
        await ctx.stopping.wait()

    async with run(supervised(node, "a", work)) as (_, _, task):
        with pytest.raises(StartError, match=r"the brick a was not ready within 0.5 s"):
            await task


async def test_one_that_does_not_stop_is_cut_off(node: TestNode, notes: list[str]) -> None:
    async def deaf(ctx: Context) -> None:
        ctx.ready()
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("deaf is cut off")

    async with run(supervised(node, "a", steady(notes)), supervised(node, "b", deaf)) as (up, stop, task):
        await up.wait()
        stop.set()
        await task
        assert notes[-2:] == ["deaf is cut off", "a stops"]


async def test_a_stop_while_they_start_ends_those_that_did(node: TestNode, notes: list[str]) -> None:
    async def slow(ctx: Context) -> None:
        notes.append("slow starts")
        await ctx.stopping.wait()

    bricks = [supervised(node, "a", steady(notes)), supervised(node, "b", slow), supervised(node, "c", steady(notes))]
    async with run(*bricks) as (up, stop, task):
        while "slow starts" not in notes:
            await asyncio.sleep(0.005)
        stop.set()
        await task
        assert not up.is_set()
        assert notes == ["a starts", "a ready", "slow starts", "a stops"]


async def test_no_task_is_left_behind(node: TestNode, notes: list[str]) -> None:
    before = asyncio.all_tasks()
    async with run(*(supervised(node, name, steady(notes)) for name in "ab")) as (up, stop, task):
        await up.wait()
        stop.set()
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before

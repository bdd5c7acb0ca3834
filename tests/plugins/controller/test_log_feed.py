"""Many who follow the log of an app through one node: read once for all, bounded, and nobody lacks a line unsaid."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.facts import encode
from flynn.core.logframe import Begin, Block, Frame, Head, Live, Lost, Said, made
from flynn.core.logquery import Wanted
from flynn.core.store import Put
from flynn.plugins.controller import log_feed
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.host_log import Reader
from flynn.plugins.controller.log_feed import FRAMES, PIECE, RECENT, Feed, Feeds
from tests.harness import TestNode, open_node
from tests.plugins.controller.log_host import LogHost, log_host
from tests.plugins.controller.log_reader import MIB, follow

PATH = "/v1/apps/hello/log?follow=true&n=0"

GROWTH = 150
"""MiB by which this process may grow, in which all of it runs, the clients too, while 200 follow: 60 are usual."""


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[tuple[TestNode, LogHost]]:
    """A controller, and a host whose log holds 1 MiB."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(open_node(tmp_path))
        await node.store.commit([Put(keys.app("hello"), encode(model.App(name="hello", created=1.0)))])
        host = await stack.enter_async_context(log_host(node, "host-a", tmp_path / "a", time.time, MIB))
        await stack.enter_async_context(node.running(Controller(ControllerConfig())))
        await node.mirror.until(lambda facts: "hello" in facts.apps, 10)
        await stack.enter_async_context(host.up())
        yield node, host


async def test_one_of_two_hundred_takes_nothing(grid: tuple[TestNode, LogHost]) -> None:
    """The others get each line of theirs; the one gets what there still is, and is told how many lines it lacks."""
    node, host = grid
    await host.prints("begun\n")
    port = node.node.port
    stuck = await (await follow(port, PATH, 4096)).live()
    some = [await (await follow(port, f"{PATH}&stream=stderr")).live() for _ in range(195)]
    whole = [await (await follow(port, PATH)).live() for _ in range(4)]
    reading = [asyncio.create_task(each.until("mark 19")) for each in some]
    counting = [asyncio.create_task(each.until("mark 19")) for each in whole]
    asked, before = len(host.asked), psutil.Process().memory_info().rss
    lines = 0
    for turn in range(20):
        await host.prints(("x" * 999 + "\n") * 600)
        await host.prints(f"mark {turn}\n", stream="stderr")
        lines += 601
    marks = [f"mark {turn}" for turn in range(20)]
    assert await asyncio.gather(*reading) == [marks] * len(some)
    for told in await asyncio.gather(*counting):
        assert len(told) == lines
        assert [line for line in told if line.startswith("mark")] == marks
    assert (psutil.Process().memory_info().rss - before) / MIB < GROWTH
    assert len(host.asked) - asked < 10, "nobody but the one asks the host again"
    await host.prints("end\n")
    told = await stuck.until("end")
    missing = [int(line.split()[0]) for line in told if "are missing here" in line]
    assert sum(missing) > 1000
    assert len(told) - len(missing) + sum(missing) == lines + 1
    for one in (stuck, *some, *whole):
        one.writer.close()


async def test_the_last_who_goes_ends_the_stream(grid: tuple[TestNode, LogHost]) -> None:
    node, host = grid
    followers = [await (await follow(node.node.port, PATH)).live() for _ in range(3)]
    feeding = f"log of hello on {host.name}"
    assert sum(task.get_name() == feeding for task in asyncio.all_tasks()) == 1
    for each in followers:
        each.writer.close()
    async with asyncio.timeout(20):
        while any(task.get_name() == feeding for task in asyncio.all_tasks()):
            await host.prints("more\n")


async def test_a_feed_that_failed_is_told_of_and_made_anew_for_who_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_so_far, comes = list[Reader](), block(1, 3)

    class Failing(Reader):
        async def frames(self) -> AsyncGenerator[list[Frame], None]:
            made_so_far.append(self)
            if len(made_so_far) == 1:
                raise RuntimeError("a bug")
            yield [Live(1)]
            yield [comes]
            await asyncio.Event().wait()

    monkeypatch.setattr(log_feed, "Reader", Failing)
    async with open_node(tmp_path) as node, asyncio.timeout(20):
        feeds = Feeds(node.context("controller"))
        async with feeds.feed("hello", "host-a", 0.0) as first:
            told = await anext(first.after(1))
            assert told == [Said("the log of host-a cannot be followed: a bug; follow it anew")]
            async with feeds.feed("hello", "host-a", 0.0) as second:
                assert second is not first
                assert await anext(second.after(1)) == [comes]
        async with feeds.feed("hello", "host-a", 0.0) as third:
            assert third not in (first, second)
        assert not feeds._feeds


class Script(Reader):
    """A reader that is told by the test what it reads."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx, "host-a", Wanted(app="hello"), 0, True, 0.0)


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    async with open_node(tmp_path) as node:
        yield Feed(Script(node.context("controller")))


def block(number: int, lines: int, size: int = 10) -> Block:
    head = Head(number, 1.0, "hello", "hello-web-1", "web", 1, "stdout", 1, 1)
    return made(head, [b"%0*d" % (size, at) for at in range(number, number + lines)])


async def some(feed: Feed, number: int) -> list[Frame]:
    """What it has from that line on, at this moment."""
    found: list[Frame] = []

    async def take() -> None:
        async for frames in feed.after(number):
            found.extend(frames)

    taking = asyncio.create_task(take())
    for _ in range(200):
        await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return found


def numbers(frames: list[Frame]) -> list[int]:
    return [n for frame in frames if isinstance(frame, Block) for n in range(frame.head.number, frame.next)]


async def test_one_who_comes_goes_on_in_the_middle_of_a_piece(feed: Feed) -> None:
    feed._take_all([Begin(5), Live(5), block(5, 3), Said("an outage"), block(8, 2)])
    assert numbers(await some(feed, 6)) == [6, 7, 8, 9]
    assert [type(frame) for frame in await some(feed, 6)] == [Block, Said, Block]
    assert [type(frame) for frame in await some(feed, 8)] == [Block]
    assert await some(feed, 4) == []
    feed._take_all([Lost(3)])
    assert await some(feed, 10) == [Lost(3)]


async def test_one_who_has_read_more_than_this_node_gets_nothing_twice(feed: Feed) -> None:
    feed._take_all([Begin(5), Live(5)])
    reading = asyncio.create_task(anext(feed.after(8)))
    await asyncio.sleep(0)
    feed._take_all([block(5, 1), block(6, 1), Said("an outage"), block(7, 3)])
    assert numbers(await reading) == [8, 9]


async def test_a_log_that_begins_anew_ends_what_was_read_of_the_old(feed: Feed) -> None:
    feed._take_all([Begin(50), Live(50), block(50, 3)])
    reading = feed.after(50)
    assert numbers(await anext(reading)) == [50, 51, 52]
    feed._take_all([Begin(53)])
    feed._take_all([block(53, 1)])
    assert numbers(await anext(reading)) == [53]
    feed._take_all([Begin(1), block(1, 2)])
    with pytest.raises(StopAsyncIteration):
        await anext(reading)
    assert numbers(await some(feed, 1)) == [1, 2]


def pieces(sizes: list[tuple[int, int]]) -> Iterator[Block]:
    number = 1
    for lines, size in sizes:
        yield block(number, lines, size)
        number += lines


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([5, 1000])), min_size=1, max_size=60), st.data())
async def test_it_is_bounded_and_has_all_from_where_it_says(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    """Whatever comes, and however much of it is held."""
    feed = Feed(None)  # type: ignore[arg-type]  # Nothing is read.
    feed._take_all([Begin(1), Live(1)])
    held = [*pieces(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_feed, "RECENT", data.draw(st.sampled_from([100, 20_000, RECENT])))
        patch.setattr(log_feed, "FRAMES", data.draw(st.sampled_from([4, FRAMES])))
        for each in held:
            feed._take_all([each])
            assert feed._size <= log_feed.RECENT
            assert len(feed._held) <= log_feed.FRAMES
            assert feed._size == sum(len(block.data) for block in feed._held if isinstance(block, Block))
    end = held[-1].next
    assert 1 <= feed.begin <= end
    number = data.draw(st.integers(1, end))
    found = await some(feed, number)
    assert numbers(found) == ([] if number < feed.begin else [*range(number, end)])
    assert all(a.next == b.head.number for a, b in pairwise(found) if isinstance(a, Block) and isinstance(b, Block))
    assert PIECE >= 1024

"""What is said while a deploy waits for another build of its app."""

import asyncio
from typing import Any, cast

import pytest

from flynn.cli.waiting import sentence, told
from flynn.core.errors import Unavailable
from flynn.core.records import BuildInfo, Line, Lines

BUILD = BuildInfo(app="hello", number=7, job="hello-build-1", source="a" * 64, started=1000.0)


class Builds:
    """Answers as a client does, the first time that the grid is not there; `asked` once it has answered twice."""

    def __init__(self, *found: BuildInfo) -> None:
        self.found, self.times, self.asked = [*found], 0, asyncio.Event()

    async def builds(self, app: str) -> list[BuildInfo]:
        self.times += 1
        if self.times == 1:
            raise Unavailable("the grid is not there")
        if self.times > 3:
            self.asked.set()
        return self.found


async def after(builds: Builds) -> Lines:
    await builds.asked.wait()
    yield {"kind": "build"}
    yield {"kind": "done"}


async def lines(builds: Builds) -> list[Line]:
    async with asyncio.timeout(20):
        return [line async for line in told(cast(Any, builds), "hello", after(builds), every=0.01)]


async def test_what_is_waited_for_is_said_until_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    ended = BuildInfo(app="hello", number=6, job="hello-build-0", source="a" * 64, started=900.0, state="failed")
    builds = Builds(ended, BUILD)
    assert [line["kind"] for line in await lines(builds)] == ["build", "done"]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("       Waits for build 7 of hello, begun ")
    assert "build 6" not in said.err


async def test_where_no_build_is_under_way_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    await lines(Builds())
    assert capsys.readouterr().err == ""


def test_a_build_that_waits_itself() -> None:
    waits = BuildInfo(app="hello", number=7, job="j", source="a" * 64, started=1000.0, waits="no host has room")
    assert (
        sentence(waits, 1100.0) == "Waits for build 7 of hello, begun 2 min ago, which waits itself: no host has room"
    )
    assert sentence(BUILD, 1020.0) == "Waits for build 7 of hello, begun 20 s ago"

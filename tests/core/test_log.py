"""Logs in pieces: there and back however the bytes come, merged by time, found by what a line is."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import logform
from flynn.core.errors import Invalid
from flynn.core.logframe import Beat, Begin, Block, Frame, Head, Live, Lost, Parser, Said, encoded, made
from flynn.core.logmerge import merging
from flynn.core.logquery import HostLogQuery, Wanted, positions, told, wanted
from flynn.core.moment import since


def block(number: int, time: float, *lines: str, stream: str = "stdout") -> Block:
    head = Head(number, time, "hello", "hello-web-1", "web", 3, stream, 0, 0)
    return made(head, [line.encode() for line in lines])


@given(
    st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), min_size=1), st.integers(1, 99)
)
def test_frames_are_the_same_however_the_bytes_come(lines: list[str], step: int) -> None:
    sent: list[Frame] = [Begin(1, 9), block(1, 1.5, *lines), Live(7), Lost(3), Beat(), Said("x"), block(9, 2.0, *lines)]
    data, parser = b"".join(map(encoded, sent)), Parser()
    found = [frame for at in range(0, len(data), step) for frame in parser.feed(data[at : at + step])]
    assert [encoded(frame) for frame in found] == [encoded(frame) for frame in sent]
    [_, one, *_] = found
    assert isinstance(one, Block)
    assert one.lines() == lines
    shown = [json.loads(line) for line in logform.json_lines(one, "a").split(b"\n")[:-1]]
    assert [line["line"] for line in shown] == lines


@pytest.mark.parametrize("data", [b"x\n", b'["log",1]\n', b"{}\n", b'["log",1,1.0,"a","j","t",1,"stdout",9,3]\nabc'])
def test_what_is_no_log(data: bytes) -> None:
    with pytest.raises(ValueError, match="no head of a log"):
        Parser().feed(data)


def test_parts_of_a_block() -> None:
    whole = block(5, 1.0, "a", "b", "c")
    assert whole.between(1, 99) is whole
    part = whole.between(6, 7)
    assert part is not None
    assert (part.head.number, part.lines(), part.next) == (6, ["b"], 7)
    assert whole.between(8, 99) is None
    found = Wanted(text="x").of(block(5, 1.0, "x1", "x2", "y", "x3"))
    assert [(each.head.number, each.lines()) for each in found] == [(5, ["x1", "x2"]), (8, ["x3"])]


def test_moments() -> None:
    now = 1_000_000.0
    assert since("10m", now, UTC) == now - 600
    assert since("1h30m", now, UTC) == now - 5400
    assert since(" 2d ", now, UTC) == now - 2 * 86400
    assert since("9999w", now, UTC) == 0.0
    assert since("1970-01-02", now, UTC) == 86400.0
    assert since("1970-01-01T01:00:00.5", now, UTC) == 3600.5
    assert since("1970-01-01T01:00+01:00", now, None) == 0.0
    assert since("1795000000", now, UTC) == since("1795000000.0", now, UTC) == 1_795_000_000.0
    for bad in ("", "10", "m", "10 minutes", "-5m", "2026", "2026-02-30", "yesterday", "1e9", "99999999999999"):
        with pytest.raises(Invalid, match=r"2026-11-25T10:00"):
            since(bad, now, UTC)


def test_what_is_asked_for_is_told_on() -> None:
    query = {
        "app": "a",
        "type": "web",
        "job": "j",
        "release": "3",
        "stream": "stdout,flynn",
        "since": "5.250000",
        "text": "é",
    }
    assert wanted(msgspec.convert(query, HostLogQuery, strict=False), 9.0).query() == query
    assert wanted(HostLogQuery(), 9.0).query() == {}
    assert positions(told({"b": 1, "a": 20})) == {"a": 20, "b": 1}


async def stream(*frames: list[Frame]) -> AsyncGenerator[list[Frame], None]:
    for each in frames:
        yield each


async def test_streams_are_merged_by_time_as_far_as_they_keep_to_it() -> None:
    """A clock that was set back does not bring the lines of a host out of order."""
    async with merging() as merge:
        merge.add("a", stream([Begin(1, 3), block(1, 1.0, "a1")], [block(2, 5.0, "a2"), block(3, 2.0, "a3"), Live(4)]))
        merge.add("b", stream([Begin(1, 2), block(1, 3.0, "b1", "b2")], [Live(3)], [block(3, 9.0, "b3")]))
        merge.add("c", stream([Said("away"), Live(0)]))
        found = [frame async for pairs in merge.past(4) for _, frame in pairs if isinstance(frame, Block | Said)]
        assert [f.lines() if isinstance(f, Block) else f for f in found] == [Said("away"), ["b1", "b2"], ["a2"], ["a3"]]
        async for pairs in merge.new(5):
            [(name, new)] = pairs
            assert isinstance(new, Block)
            assert (name, new.lines()) == ("b", ["b3"])
            break

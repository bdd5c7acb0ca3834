"""Messages and open files from one end to the other."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from flynn.core.channel import FILES_LIMIT, Channel, pair
from flynn.core.errors import Invalid

Ends = tuple[Channel, Channel]


class Word(msgspec.Struct, frozen=True, tag=True):
    text: str


class Number(msgspec.Struct, frozen=True, tag=True):
    value: int


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    one, other = map(Channel, pair())
    async with asyncio.timeout(20):
        yield one, other
    one.close()
    other.close()


def pipes(count: int) -> tuple[list[int], list[int]]:
    """The reading and the writing ends of so many pipes."""
    made = [os.pipe() for _ in range(count)]
    return [reading for reading, _ in made], [writing for _, writing in made]


def close(files: list[int]) -> None:
    for file in files:
        os.close(file)


async def test_messages_come_whole_and_in_order(ends: Ends) -> None:
    one, other = ends
    long = Word("x" * 3_000_000)
    sending = asyncio.create_task(one.send(long))
    await asyncio.sleep(0)
    sending_more = asyncio.create_task(one.send(Number(7)))
    assert await other.receive(Word | Number) == (long, [])
    assert await other.receive(Word | Number) == (Number(7), [])
    await other.send(Word("back"))
    assert await one.receive(Word) == (Word("back"), [])
    await asyncio.gather(sending, sending_more)


async def test_files_come_with_their_message_and_are_not_inherited(ends: Ends) -> None:
    one, other = ends
    reading, writing = pipes(FILES_LIMIT + 3)
    await one.send(Number(1), writing[:FILES_LIMIT])
    await one.send(Word("between"))
    await one.send(Number(2), writing[FILES_LIMIT:])
    first = (await other.receive(Number))[1]
    assert (await other.receive(Word))[1] == []
    got = first + (await other.receive(Number))[1]
    assert len(got) == len(writing)
    assert not any(os.get_inheritable(file) for file in got)
    close(writing)
    for number, (sender, file) in enumerate(zip(got, reading, strict=True)):
        os.write(sender, b"%d" % number)
        assert os.read(file, 10) == b"%d" % number
    close(got)
    close(reading)


async def test_the_end_of_one_is_told_to_the_other(ends: Ends) -> None:
    one, other = ends
    waiting = asyncio.create_task(other.receive(Word))
    await asyncio.sleep(0.01)
    one.close()
    with pytest.raises(EOFError):
        await waiting
    with pytest.raises(ConnectionError):
        await other.send(Word("to nobody"))


async def test_who_waits_can_be_told_the_end(ends: Ends) -> None:
    waiting = [asyncio.create_task(end.receive(Word)) for end in ends]
    await asyncio.sleep(0.01)
    ends[0].end()
    for task in waiting:
        with pytest.raises(EOFError):
            await task


async def test_what_is_not_wanted_is_refused_and_its_files_closed(ends: Ends) -> None:
    one, other = ends
    reading, writing = pipes(1)
    await one.send(Word("a"), writing)
    close(writing)
    with pytest.raises(Invalid, match="no good"):
        await other.receive(Number)
    assert os.read(reading[0], 1) == b"", "nobody has the other end any more"
    close(reading)


async def test_files_that_nobody_takes_are_closed() -> None:
    one, other = map(Channel, pair())
    reading, writing = pipes(1)
    await one.send(Word("a"), writing)
    close(writing)
    other.close()
    assert os.read(reading[0], 1) == b""
    close(reading)
    one.close()


async def test_a_message_that_is_too_long_is_refused() -> None:
    raw, end = pair()
    channel = Channel(end)
    raw.sendall(b"\xff\xff\xff\xff\0")
    with pytest.raises(Invalid, match="at most"):
        await channel.receive(Word)
    raw.close()
    channel.close()


async def test_a_sender_waits_for_a_reader_that_is_slow(ends: Ends) -> None:
    one, other = ends
    sending = asyncio.create_task(one.send(Word("x" * 10_000_000)))
    await asyncio.sleep(0.05)
    assert not sending.done()
    assert len((await other.receive(Word))[0].text) == 10_000_000
    await sending


def test_the_pair_is_of_this_machine() -> None:
    for end in pair():
        assert end.family == socket.AF_UNIX
        end.close()

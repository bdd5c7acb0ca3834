"""A log as it stands on disk, read from any line on. Everything here blocks: call it in a thread."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flynn.core.logframe import Block, Frame, Head, Lost
from flynn.core.logquery import Wanted
from flynn.plugins.host.logs.segment import Segment, heads, next_block, segments

Run = tuple[int, int]
"""Lines that stand side by side: the number of the first, and how many."""


def tail(dir: Path, wanted: Wanted, count: int, end: int) -> Run:
    """Where the last `count` lines before number `end` begin, of those that are wanted, and how many there are."""
    found = 0
    if count == 0:
        return end, 0
    for each in reversed(segments(dir)):
        if each.first >= end:
            continue
        for number, lines in reversed(_runs(each, wanted, end)):
            found += lines
            if found >= count:
                return number + found - count, count
        if wanted.since and _begun(each) < wanted.since:
            break
    return first(dir, wanted, end), found


def first(dir: Path, wanted: Wanted, end: int) -> int:
    """The number of the first line that may be wanted: files that end before `since` are passed over."""
    found = end
    for each in reversed(segments(dir)):
        found = min(found, each.first)
        if wanted.since and _begun(each) < wanted.since:
            break
    return found


def _begun(each: Segment) -> float:
    with contextlib.suppress(OSError), each.open() as file:
        for head, _ in heads(file):
            return head.time
    return 0.0


def _runs(each: Segment, wanted: Wanted, end: int) -> list[Run]:
    try:
        with each.open() as file:
            return list(_runs_of(file, wanted, end))
    except OSError:
        return []


def _runs_of(file: BinaryIO, wanted: Wanted, end: int) -> Iterator[Run]:
    if wanted.text:
        while (block := next_block(file)) and block.head.number < end:
            yield from ((part.head.number, part.head.lines) for part in wanted.of(block))
        return
    for head, _ in heads(file):
        if isinstance(head, Head):
            if head.number >= end:
                return
            if wanted.takes(head):
                yield head.number, min(head.lines, end - head.number)


class Past:
    """The lines of a log from `number` on, a piece at a time, over all files. Close it, or use it as a block."""

    def __init__(self, dir: Path, wanted: Wanted, number: int) -> None:
        self.dir, self.wanted, self.number = dir, wanted, number
        self._file: BinaryIO | None = None
        self._first = 0
        self._held: Block | None = None

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = self._held = None

    def skip(self, number: int) -> None:
        """Go on at `number`, which lies ahead."""
        if number != self.number:
            self.close()
            self.number = number

    def read(self, size: int, end: int) -> list[Frame]:
        """About `size` bytes of what comes before number `end`; nothing when all was read.

        What is not wanted counts too, so that no call takes long. Lines that are gone are told of.
        """
        found: list[Frame] = []
        while size > 0 and self.number < end:
            block = self._next()
            if block is None:
                if not self._open_next():
                    break
                continue
            size -= len(block.data)
            if block.head.number > self.number:
                found.append(Lost(block.head.number - self.number))
            if part := block.between(self.number, end):
                found += self.wanted.of(part)
            self.number = min(block.next, end)
        return found

    def _next(self) -> Block | None:
        """The next block of this file that has lines from `number` on."""
        if held := self._held:
            self._held = None
            return held
        while self._file and (block := next_block(self._file)):
            if block.next > self.number:
                return block
        return None

    def _open_next(self) -> bool:
        """Go to the file that has `number`, or to the next one there is; whether there is one."""
        there = segments(self.dir)
        if self._file is None:
            at = max((each for each in there if each.first <= self.number), default=None)
            return any(self._open(each) for each in ([at] if at else there))
        later = [each for each in there if each.first > self._first]
        if not later:
            return False
        self._held = self._next()  # Something may have been written to this file before the next was begun.
        return bool(self._held) or any(self._open(each) for each in later)

    def _open(self, each: Segment) -> bool:
        try:
            file = each.open()
        except OSError:
            return False
        self.close()
        self._file, self._first = file, each.first
        self._seek()
        return True

    def _seek(self) -> None:
        """Pass over the blocks that end before `number`, without reading them."""
        assert self._file
        for head, at in heads(self._file):
            if isinstance(head, Head) and head.number + head.lines > self.number:
                self._file.seek(at)
                return

"""The log of an app in pieces: a head line that says what follows, then that many bytes of lines. Pure.

So it stands in the files of a host, and so hosts send it to the controller: lines become JSON only where somebody
reads them. All lines of a piece came from one job, by one stream, and were taken in at the same moment.
"""

from collections.abc import Iterator
from zlib import crc32

import msgspec
from msgspec.structs import replace

BLOCK = 32 * 1024
"""Bytes of lines in a piece at most: larger buffers cost more than they save."""

MEDIA_TYPE = "application/x-flynn-log"


class Head(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="log", gc=False):
    """`number`: that of the first line, counted from 1 in the log of an app on a host. `size`: bytes that follow.

    `out` and `err` are the bytes of the job's raw output taken in so far; `crc` is over the bytes that follow.
    """

    number: int
    time: float
    app: str
    job: str
    type: str
    release: int
    stream: str
    lines: int
    size: int
    crc: int = 0
    out: int = 0
    err: int = 0


class Base(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="base", gc=False):
    """Begins a file: the number of the line that comes next, and of each job how far it was taken in (out, err)."""

    number: int
    time: float
    taken: dict[str, tuple[int, int]] = {}


class Begin(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="begin", gc=False):
    """Begins a stream: the number of its first line, and how many lines of the past it will have (-1: not counted)."""

    number: int
    count: int = -1


class Live(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="live", gc=False):
    """What was there has been sent; what follows is new. `number`: of the next line."""

    number: int


class Lost(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="lost", gc=False):
    """So many lines are gone that the reader should have had."""

    lines: int


class Beat(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="beat", gc=False):
    """Nothing new, but the stream is alive."""


class Said(msgspec.Struct, frozen=True, array_like=True, tag_field="frame", tag="said", gc=False):
    """A word on the stream itself, as that a host does not answer."""

    text: str


class Block:
    """A piece. `data` is `head.lines` lines, each with its end."""

    __slots__ = ("data", "head", "shown")

    def __init__(self, head: Head, data: bytes) -> None:
        self.head, self.data = head, data
        self.shown: dict[object, bytes] = {}
        """What was made of it already, so that many readers cost as much as one."""

    @property
    def next(self) -> int:
        """The number of the line after it."""
        return self.head.number + self.head.lines

    def lines(self) -> list[str]:
        """Its lines as text: bytes that are no UTF-8 are replaced."""
        found = self.data.decode("utf-8", "replace").split("\n")
        found.pop()
        return found

    def encoded(self) -> bytes:
        return ENCODER.encode(self.head) + b"\n" + self.data

    def whole(self) -> bool:
        return crc32(self.data) == self.head.crc

    def between(self, first: int, end: int) -> "Block | None":
        """The part of it with the numbers from `first` up to, but not with, `end`."""
        head = self.head
        first, end = max(first, head.number), min(end, self.next)
        if first >= end:
            return None
        if first == head.number and end == self.next:
            return self
        lines = self.data.split(b"\n")[first - head.number : end - head.number]
        return made(replace(head, number=first), lines)


Frame = Block | Begin | Live | Lost | Beat | Said
"""What a stream consists of."""

ENCODER = msgspec.json.Encoder()
HEADS = msgspec.json.Decoder(Head | Base | Begin | Live | Lost | Beat | Said)

HEAD_LIMIT = 4 * 1024 * 1024
"""Bytes of a head line."""


def made(head: Head, lines: list[bytes]) -> Block:
    """A block of these lines, with what its head says of them."""
    data = b"\n".join(lines) + b"\n"
    return Block(replace(head, lines=len(lines), size=len(data), crc=crc32(data)), data)


def encoded(frame: Frame) -> bytes:
    return frame.encoded() if isinstance(frame, Block) else ENCODER.encode(frame) + b"\n"


class Parser:
    """Bytes of a stream in, frames out. ValueError: it is none."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now."""
        self._rest += data
        found, at = [], 0
        for frame, end in self._frames():
            found.append(frame)
            at = end
        del self._rest[:at]
        if len(self._rest) > HEAD_LIMIT:
            raise ValueError("a head of the log's stream has no end")
        return found

    def _frames(self) -> Iterator[tuple[Frame, int]]:
        rest, at = self._rest, 0
        while (end := rest.find(b"\n", at)) >= 0:
            head = decoded(bytes(rest[at:end]))
            if not isinstance(head, Head):
                if not isinstance(head, Base):
                    yield head, end + 1
                at = end + 1
            elif len(rest) > end + head.size:
                at = end + 1 + head.size
                yield Block(head, bytes(rest[end + 1 : at])), at
            else:
                return


def decoded(line: bytes) -> Head | Base | Begin | Live | Lost | Beat | Said:
    """A head. ValueError: the line is none."""
    try:
        head: Head | Base | Begin | Live | Lost | Beat | Said = HEADS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{line[:80]!r} is no head of a log: {error}") from None
    if isinstance(head, Head) and not 0 < head.lines <= head.size <= HEAD_LIMIT:
        raise ValueError(f"{line[:80]!r} is no head of a log")
    return head

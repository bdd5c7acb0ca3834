"""Pieces of a log as a reader gets them: JSON lines, server-sent events, or plain text. Pure, and quick: whole pieces
are encoded at once, as all lines of one have the same beginning."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from flynn.core.logframe import ENCODER, Block, Lost

JSON, EVENTS, TEXT = "application/x-ndjson", "text/event-stream", "text/plain"

TOGETHER = 64 * 1024


def json_lines(block: Block, host: str) -> bytes:
    """A JSON object a line. `at` is the number of the block's first line on its host."""
    if (shown := block.shown.get(host)) is None:
        before = _before(block, host)
        ends = ENCODER.encode_lines(block.lines())[:-1].replace(b"\n", b"}\n" + before)
        shown = block.shown[host] = b"".join((before, ends, b"}\n"))
    return shown


def events(block: Block, host: str, others: str) -> bytes:
    """An event a line. `others` are the positions of all other hosts: an id says where to go on after it."""
    before = b"event: log\nid: " + (others + "," if others else "").encode() + host.encode()
    data = _before(block, host)
    number = block.head.number
    lines = enumerate(block.lines(), number + 1)
    return b"".join(b"%b:%d\ndata: %b%b}\n\n" % (before, at, data, ENCODER.encode(line)) for at, line in lines)


def timed(block: Block) -> bytes:
    """`2026-11-25T10:00:00.123+00:00 app[web.3f2a9c1e]: text`, a line each; the text is as the app wrote it."""
    head = block.head
    source = "flynn" if head.stream == "flynn" else "app"
    time = datetime.fromtimestamp(min(max(head.time, 0.0), 32503680000.0), UTC).isoformat(timespec="milliseconds")
    job = f"[{head.type}.{head.job.rpartition('-')[2]}]" if head.job else ""
    before = f"{time} {source}{job}: ".encode()
    return before + block.data[:-1].replace(b"\n", b"\n" + before) + b"\n"


def lost(frame: Lost, host: str) -> str:
    """The sentence about lines that are gone."""
    return f"{frame.lines} lines of {host} are missing here: they were gone from its disk before they were read"


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are neither tiny nor large."""
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        if size + len(piece) > TOGETHER and found:
            yield b"".join(found)
            found, size = [], 0
        found.append(piece)
        size += len(piece)
    if found:
        yield b"".join(found)


def said(time: float, text: str, host: str = "") -> bytes:
    """A word of flynn on the log itself, as a JSON line."""
    line = {
        "kind": "log", "time": time, "host": host, "app": "", "job": "", "type": "", "release": 0,
        "stream": "flynn", "at": 0, "line": text,
    }  # fmt: skip
    return ENCODER.encode(line) + b"\n"


def _before(block: Block, host: str) -> bytes:
    head = block.head
    told = {
        "kind": "log", "time": head.time, "host": host, "app": head.app, "job": head.job, "type": head.type,
        "release": head.release, "stream": head.stream, "at": head.number,
    }  # fmt: skip
    return ENCODER.encode(told)[:-1] + b',"line":'

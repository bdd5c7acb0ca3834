"""Which lines of a log somebody asks for. Pure, but for the time zone of a time without one: that is UTC."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Annotated

import msgspec

from flynn.core.errors import Invalid
from flynn.core.logframe import Block, Head, made
from flynn.core.moment import since

STREAMS = ("stdout", "stderr", "flynn")
USUAL = 100
"""Lines of the past that are shown, unless told otherwise."""

MOST = 1_000_000_000
TEXT_LIMIT = 1000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Empty fields mean all. `since` is in seconds since the epoch; `text` is part of a line, as it is written."""

    app: str = ""
    type: str = ""
    job: str = ""
    release: int = 0
    streams: tuple[str, ...] = ()
    since: float = 0.0
    text: str = ""

    def takes(self, head: Head) -> bool:
        """Whether lines with this head are among those asked for, but for the text."""
        return (
            self.app in ("", head.app)
            and self.type in ("", head.type)
            and self.job in ("", head.job)
            and self.release in (0, head.release)
            and (not self.streams or head.stream in self.streams)
            and self.since <= head.time
        )

    def of(self, block: Block) -> list[Block]:
        """The lines of a block that are asked for, as blocks of lines that stand side by side."""
        if not self.takes(block.head):
            return []
        if not self.text:
            return [block]
        text = self.text.encode()
        return list(_runs(block, text)) if text in block.data else []

    def query(self) -> dict[str, str]:
        """As the API takes it."""
        told = {
            "app": self.app, "type": self.type, "job": self.job, "release": str(self.release or ""),
            "stream": ",".join(self.streams), "since": f"{self.since:.6f}" if self.since else "", "text": self.text,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value}


class LogQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may ask of a log. `since`: see `core/moment.py`; `stream`: names with commas between."""

    n: Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None = None
    follow: bool = False
    type: str = ""
    job: str = ""
    release: str = ""
    stream: str = ""
    since: str = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)] = ""


class AppLogQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the log of an app. `times`: before each line of plain text, when it was written."""

    position: str = msgspec.field(default="", name="from")
    times: bool = False


class HostLogQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the logs on one host; `number`, of the line to go on with, in that of one app alone."""

    app: str = ""
    number: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = msgspec.field(default=0, name="from")


def _runs(block: Block, text: bytes) -> Iterator[Block]:
    lines = block.data.split(b"\n")
    lines.pop()
    begun = None
    for at, line in enumerate([*lines, None]):
        if line is not None and text in line:
            begun = at if begun is None else begun
        elif begun is not None:
            yield made(msgspec.structs.replace(block.head, number=block.head.number + begun), lines[begun:at])
            begun = None


def wanted(query: LogQuery, now: float) -> Wanted:
    """What a request asks for. Invalid says which part of it is no good."""
    streams = tuple(part for part in query.stream.split(",") if part)
    if bad := next((stream for stream in streams if stream not in STREAMS), ""):
        raise Invalid(f"stream={bad[:40]} is unknown; known are: {', '.join(STREAMS)}")
    if "\n" in query.text:
        raise Invalid("text is no good; it is part of one line", query="text")
    return Wanted(
        app=query.app if isinstance(query, HostLogQuery) else "",
        type=query.type,
        job=query.job,
        release=_release(query.release),
        streams=streams,
        since=since(query.since, now, UTC) if query.since else 0.0,
        text=query.text,
    )


def _release(text: str) -> int:
    told = text.removeprefix("v")
    if text and not (told.isascii() and told.isdigit() and len(told) < 10 and int(told)):
        raise Invalid(f"release={text[:40]} is no release; write its number, 3 or v3")
    return int(told or 0)


def count(query: LogQuery) -> int | None:
    """How many lines of the past: `n`, else all if `since` says where to begin, else USUAL. None: all."""
    return query.n if query.n is not None else None if query.since else USUAL


def positions(text: str) -> dict[str, int]:
    """`host-a:120,host-b:7`: by host the number of the line to go on with. Invalid."""
    found = {}
    for part in filter(None, text.split(",")):
        host, _, number = part.rpartition(":")
        if not host or not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise Invalid(f"from={text[:80]} is no good; write HOST:NUMBER, with commas between")
        found[host] = int(number)
    return found


def told(positions: Mapping[str, int]) -> str:
    """The text that `positions` reads."""
    return ",".join(f"{host}:{number}" for host, number in sorted(positions.items()))

"""Which lines of a log somebody asks for. Pure, but for the time zone of a time without one: that is UTC."""

from collections.abc import Iterator, Mapping
from datetime import UTC

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


def wanted(query: Mapping[str, str], now: float) -> Wanted:
    """What a request asks for. Invalid says which part of it is no good."""
    streams = tuple(part for part in query.get("stream", "").split(",") if part)
    if bad := next((stream for stream in streams if stream not in STREAMS), ""):
        raise Invalid(f"stream={bad[:40]} is unknown; known are: {', '.join(STREAMS)}")
    text = query.get("text", "")
    if len(text) > TEXT_LIMIT or "\n" in text:
        raise Invalid(f"text is no good; it is part of one line, {TEXT_LIMIT} characters at most")
    return Wanted(
        app=query.get("app", ""),
        type=query.get("type", ""),
        job=query.get("job", ""),
        release=_release(query.get("release", "")),
        streams=streams,
        since=since(query["since"], now, UTC) if query.get("since") else 0.0,
        text=text,
    )


def _release(text: str) -> int:
    told = text.removeprefix("v")
    if text and not (told.isascii() and told.isdigit() and len(told) < 10 and int(told)):
        raise Invalid(f"release={text[:40]} is no release; write its number, 3 or v3")
    return int(told or 0)


def count(query: Mapping[str, str]) -> int | None:
    """How many lines of the past: `n`, else all if `since` says where to begin, else USUAL. None: all. Invalid."""
    raw = query.get("n", "")
    if not raw:
        return None if query.get("since") else USUAL
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 10 or int(raw) > MOST:
        raise Invalid(f"n={raw[:40]} is no good; a whole number from 0 to {MOST}")
    return int(raw)


def flag(query: Mapping[str, str], name: str) -> bool:
    """A yes or no. Invalid: it is neither."""
    raw = query.get(name, "false").lower()
    if raw not in ("true", "1", "false", "0", ""):
        raise Invalid(f"{name}={raw[:40]} is no good; write true or false")
    return raw in ("true", "1")


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

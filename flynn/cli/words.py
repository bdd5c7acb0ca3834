"""Numbers, times and tables as people read them. Pure, but for `paint`, which looks where the text will go."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

import click

from flynn.core.model import Placement

_SGR = re.compile(r"(\x1b\[[0-9;]*m)")


def paint(text: str, style: str, to: TextIO | None = None) -> str:
    """The text in a style (`bold`, `dim` or a colour) if it goes to a terminal and NO_COLOR is not set."""
    stream = to or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, **{style: True}) if style in ("bold", "dim") else click.style(text, fg=style)


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> list[str]:
    """Rows in columns two spaces apart; the last column is not padded. No rows: no lines, not even the head."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return []
    cells = [list(head), *cells] if head else cells
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cell(value: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(value))


def printable(text: str) -> str:
    """The text without what could steer a terminal; tabs and colours (ECMA-48 SGR) stay."""
    if text.isprintable():
        return text
    return "".join(part if i % 2 else _clean(part) for i, part in enumerate(_SGR.split(text)))


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in text.rstrip("\r"))


def size(count: float) -> str:
    """Bytes: `812 B`, `34 kB`, `1.2 MB` (powers of 1000)."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def binary(count: int) -> str:
    """Bytes exactly, in the largest power of 1024 that allows it: `10 MiB`, `1000 B`."""
    unit = 0
    while count and count % 1024 == 0 and unit < 4:
        count, unit = count // 1024, unit + 1
    return f"{count} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def span(seconds: float) -> str:
    """A length of time: `4 s`, `12 min`, `3 h`, `9 d`."""
    for limit, divisor, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / divisor:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


@lru_cache(64)
def moment(at: float) -> str:
    """A time in UTC with its milliseconds: `2026-11-23T10:00:00.123+00:00`."""
    return _utc(at).isoformat(timespec="milliseconds")


def day(at: float) -> str:
    """A time in UTC without its fraction: `2026-11-23 10:00:00`."""
    return _utc(at).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: float) -> str:
    """The time of day here: `02:28:34.333`."""
    return datetime.fromtimestamp(at).isoformat(timespec="milliseconds")[11:]


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(min(max(at, 0.0), 32503680000.0), UTC)


def count(number: int, noun: str) -> str:
    """`1 file`, `12 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def placed(where: Placement) -> str:
    """Where jobs may be: `on hosts with disk=ssd`; empty: anywhere."""
    tags = " ".join(f"{tag}={value}" for tag, value in sorted(where.tags.items()))
    hosts = f"every host with {tags}" if tags and where.omni else "every host" if where.omni else ""
    parts = [f"on {hosts}"] if hosts else [f"on hosts with {tags}"] if tags else []
    return ", ".join([*parts, *(["one on a host"] if where.one_per_host else [])])

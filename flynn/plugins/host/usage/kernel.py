"""Small files that the kernel writes when they are read (/proc, control groups)."""

import os

MOST = 256 * 1024
"""Bytes of one read."""

SHORT = 2048
"""Bytes below which a read has reached the end: the kernel fills a page with lines, and none is as long as another."""


def text(path: str) -> str:
    """What is in it; empty if it is not there or may not be read. A third of what pathlib takes for it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        found = part = os.read(file, MOST)
        while len(part) >= SHORT:
            part = os.read(file, MOST)
            found += part
        return found.decode(errors="replace")
    except OSError:  # ESRCH: the process ended meanwhile.
        return ""
    finally:
        os.close(file)


def number(path: str) -> int | None:
    """The one number in it."""
    return whole(text(path).strip())


def value(table: str, name: str, end: str = "\n") -> int | None:
    """The number beside a name, in lines of such pairs."""
    before = f"{name} " if table.startswith(f"{name} ") else f"\n{name} "
    _, found, rest = table.partition(before)
    return whole(rest.partition(end)[0].strip()) if found else None


def whole(word: str) -> int | None:
    """A word as a whole number that is not negative; None if it is none."""
    return int(word) if word.isascii() and word.isdigit() else None

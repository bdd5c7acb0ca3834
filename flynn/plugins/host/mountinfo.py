"""What is mounted, as the kernel lists it: /proc/self/mountinfo (proc(5)). Pure."""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple


class Mounted(NamedTuple):
    """Something mounted at `point`: a file system of that kind, or the part `root` of it. `options`: its own."""

    point: PurePath
    kind: str
    root: str
    options: tuple[str, ...]


def mounted(mountinfo: str) -> Iterator[Mounted]:
    """All, in the order in which they were mounted."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after:
            words, (kind, *source) = before.split(" "), after.split(" ")
            yield Mounted(PurePath(_plain(words[4])), kind, words[3], tuple(source[-1].split(",")))


def _plain(path: str) -> str:
    """As it is: spaces are told by octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)

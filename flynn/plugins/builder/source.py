"""The source as it comes from a developer: a gzip'd tar that is read once, entry by entry, before it is believed."""

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from flynn.core.errors import Invalid
from flynn.plugins.builder.dockerfile import WATCHED

ENTRIES = 200_000
"""Files, directories and links in a source at most."""

UNPACKED = 2 << 30
"""Bytes of a source once unpacked, at most."""

HEADER = 1 << 20
"""Bytes that the headers of one entry (a long name, say) may ask to be read into memory."""

EMPTY = "the source is empty: there is nothing to build"

HOPS = 40
"""Links that lead to links, followed one after the other; as many as Linux follows."""

Look = Callable[[tarfile.TarFile, tarfile.TarInfo], None]


def check(path: Path, look: Look = lambda tar, entry: None) -> frozenset[str]:
    """Which of the names that tell how to build it are at its top. Invalid, with a sentence that names the entry,
    unless the file at `path` is a tar that may be unpacked. `look` is called with each entry, and may read it.

    Blocks for as long as it takes to read all of it: call it in a thread.
    """
    tree = Tree()
    if not path.stat().st_size:
        raise Invalid(EMPTY)
    try:
        with gzip.open(path) as file:
            counted = Counted(cast(BinaryIO, file))
            with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r:") as tar:
                for entry in _entries(tar):
                    tree.add(entry)
                    look(tar, entry)
                    counted.begin()
            counted.drain()
    except gzip.BadGzipFile:
        raise Invalid("the body is not a gzip'd tar; send what `tar -czf - .` writes") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise Invalid(f"the body is not a whole gzip'd tar ({error}); send it again") from None
    tree.check()
    return frozenset(tree.top)


@dataclass
class Tree:
    """What was seen of a tar: enough to know that nothing in it leads out of where it is unpacked."""

    count: int = 0
    size: int = 0
    names: bool = False
    top: set[str] = field(default_factory=set)
    """Of the names that are watched for (`dockerfile.py`), those of files at the top."""

    parents: set[str] = field(default_factory=set)
    """Every directory that an entry, or the target of a hard link, lies in."""

    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links by name, and their targets."""

    hard: list[tuple[str, str]] = field(default_factory=list)

    def add(self, entry: tarfile.TarInfo) -> None:
        """One more entry. Invalid: it alone is reason to refuse the tar."""
        self.count += 1
        self.size += max(entry.size, 0)
        if self.count > ENTRIES:
            raise Invalid(f"the source has over {ENTRIES} entries; leave out what the app does not need")
        if self.size > UNPACKED:
            raise Invalid(f"the source unpacks to over {UNPACKED >> 30} GiB (at {_shown(entry.name)})")
        name = _inside(entry.name, entry.name)
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            kind = "a fifo" if entry.isfifo() else "a device" if entry.isdev() else "of an unknown kind"
            raise Invalid(f"{_shown(entry.name)} is {kind}; a source has files, directories and links only")
        self.names = self.names or name != "."
        if name in WATCHED and entry.isreg():
            self.top.add(name)
        self.parents.update(_parents(name))
        if entry.issym():
            self.links[name] = entry.linkname
        elif entry.islnk():
            target = _inside(entry.linkname, entry.name)
            self.hard.append((name, target))
            self.parents.update(_parents(target))

    def check(self) -> None:
        """Invalid: all entries together are reason to refuse the tar."""
        if not self.names:
            raise Invalid(EMPTY)
        for name in self.links:
            if name in self.parents:
                raise Invalid(f"{_shown(name)} is a link and a directory at once")
            self._follow(name)
        for name, target in self.hard:
            if target in self.links:
                raise Invalid(f"{_shown(name)} is a hard link to the symbolic link {_shown(target)}")

    def _follow(self, name: str) -> None:
        """Walk where a link leads, as the kernel would, and refuse it as soon as that is out of the tree."""
        place = name.split("/")[:-1]
        todo = self.links[name].split("/")[::-1]
        hops = 1
        refused = Invalid(f"the link {_shown(name)} leads out of the source, to {_shown(self.links[name])}")
        if self.links[name].startswith("/"):
            raise refused
        while todo:
            part = todo.pop()
            if part == "..":
                if not place:
                    raise refused
                place.pop()
            elif part not in ("", "."):
                place.append(part)
                target = self.links.get("/".join(place))
                if target is not None:
                    hops += 1
                    if target.startswith("/"):
                        raise refused
                    if hops > HOPS:
                        return  # nobody can follow it: it leads nowhere
                    place.pop()
                    todo.extend(target.split("/")[::-1])


class Counted:
    """The unpacked bytes of a file, read forward, with limits on how many in all and how many at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, HEADER

    def begin(self) -> None:
        """What follows belongs to the next entry."""
        self._left = HEADER

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise Invalid(f"an entry of the tar has headers of more than {HEADER} bytes")
        self._check(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def drain(self) -> None:
        """Read what follows the tar's end: it counts, and it holds the check sum."""
        self.begin()
        while self.read(HEADER):
            self.begin()

    def _check(self, position: int) -> None:
        if position > UNPACKED + HEADER:
            raise Invalid(f"the source unpacks to over {UNPACKED >> 30} GiB")


def _entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (entry := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
        yield entry


def _inside(name: str, entry: str) -> str:
    """A path in the tar, normal; Invalid when it names something outside."""
    if name.startswith("/"):
        raise Invalid(f"{_shown(entry)} names the absolute path {_shown(name)}; paths must be relative")
    if ".." in name.split("/"):
        raise Invalid(f"{_shown(entry)} names the path {_shown(name)}; `..` is not allowed")
    return posixpath.normpath(name)


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else name[:117] + "...")

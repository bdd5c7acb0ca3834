"""A tar that nobody vouches for, entry by entry: what stands between its files is bounded, in size and in memory.

`tarfile` reads a header whole, however large it says to be, and follows those that go on in another for ever. Packed,
gigabytes of them are a few kilobytes.
"""

import contextlib
import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from flynn.core.errors import Invalid, TooLarge

HEADERS = 1024 * 1024
"""Bytes that may be read to find the next entry, beside the last one's own."""


class Source:
    """Unpacked bytes, of which `left` may still be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.left = file, HEADERS

    def read(self, size: int) -> bytes:
        if size > self.left:
            raise TooLarge(f"the archive is refused: it has headers of more than {HEADERS} bytes for one entry")
        self.left -= size
        return self._file.read(size)

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


@contextlib.contextmanager
def opened(packed: Path) -> Iterator[tarfile.TarFile]:
    """A tar, gzip'd or not, for `entries`. TarError, OSError: it is none."""
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(packed.open("rb"))
        if file.read(2) == b"\x1f\x8b":
            file = cast(BinaryIO, stack.enter_context(gzip.open(packed)))
        file.seek(0)
        yield stack.enter_context(tarfile.open(fileobj=cast(BinaryIO, Source(file)), mode="r:"))


def entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All of them; what one holds is to be read before the next. Invalid, TooLarge."""
    source = cast(Source, tar.fileobj)
    while (entry := tar.next()) is not None:
        if entry.size < 0:
            raise Invalid(f"the archive is refused: {entry.name[:200]!r} says that its size is {entry.size}")
        tar.members = []  # type: ignore[attr-defined]  # It would keep all of them.
        source.left = entry.size + HEADERS
        yield entry

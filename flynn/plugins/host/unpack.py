"""Unpacking a tar that nobody vouches for: what it holds stays in its tree, whatever its names and links say.

What is kept is what `tarfile.data_filter` (PEP 706; not in every Python 3.11) would keep: files, directories and links
within the tree, no owners, no special bits. Symbolic links are made last, when everything else is in place, so that no
entry can be written through one.
"""

import os
import shutil
import sys
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from flynn.core.disk import NO_ROOM, room
from flynn.core.errors import Full, Invalid, TooLarge
from flynn.core.room import words
from flynn.plugins.host.sandbox.rootfs import SYSTEM
from flynn.plugins.host.tarsource import entries, opened

SIZE_LIMIT = 2 * 1024 * 1024 * 1024
ENTRY_LIMIT = 200_000
CHUNK = 256 * 1024
BLOCK = 4096
MEASURED = 16 * 1024 * 1024
"""Bytes that are written until the disk's room is looked at again."""
DEEPEST = 100
"""Names of directories in a path: copying a tree goes down step by step."""

LAST_TIME = 2.0**33
"""Seconds since the epoch: later times of files are not believed."""


class Space:
    """What may still be written to the disk of `path`, of which `leave` bytes stay free."""

    def __init__(self, path: Path, leave: int) -> None:
        self.path, self.leave, self.left = path, leave, 0

    def take(self, size: int) -> None:
        """Before an entry of `size` bytes is written. Full. Others write there too, so it is measured now and then."""
        size += BLOCK
        if self.left < size:
            free = room(self.path).free - self.leave
            if free < size:
                raise Full(f"the archive cannot be unpacked: less than {words(self.leave)} would stay free on the disk")
            self.left = max(min(free, MEASURED), size)
        self.left -= size


def unpack(
    packed: Path, into: Path, size_limit: int = SIZE_LIMIT, entry_limit: int = ENTRY_LIMIT, leave: int = 0
) -> int:
    """Unpack a tar (gzip'd or not) into the new directory `into`; the bytes it takes. Blocks: call it in a thread.

    Invalid: it is no tar, or holds what no application needs. TooLarge. Full: fewer than `leave` bytes of the disk
    would stay free.
    """
    try:
        into.mkdir(parents=True)
        with opened(packed) as tar:
            return _extract(tar, into, size_limit, entry_limit, Space(into, leave))
    except (tarfile.TarError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise Invalid(f"the archive is damaged: {error}") from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise Invalid(f"the archive cannot be unpacked: {error}") from None
        raise Full(f"the archive cannot be unpacked to {into.parent}: {error.strerror}") from None


def _extract(tar: tarfile.TarFile, into: Path, size_limit: int, entry_limit: int, space: Space) -> int:
    links: list[tarfile.TarInfo] = []
    size = 0
    for count, entry in enumerate(entries(tar), 1):
        size += entry.size if entry.isreg() else 0
        if size > size_limit or count > entry_limit:
            raise TooLarge(f"the archive is too large: {size_limit} bytes and {entry_limit} entries at most unpacked")
        _check_name(entry)
        space.take(entry.size if entry.isreg() else 0)
        if entry.issym():
            links.append(entry)
        elif entry.islnk():
            _make_hard_link(into, entry)
        else:
            _write(tar, entry, into / entry.name)
    for link in links:
        _make_link(into, link)
    return size


def _check_name(entry: tarfile.TarInfo) -> None:
    """What is refused by name alone."""
    if entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts:
        raise Invalid(f"the archive is refused: {entry.name[:200]!r} lies outside of it")
    depth = len(PurePosixPath(entry.name).parts)
    if not depth and not entry.isdir():
        raise Invalid(f"the archive is refused: {entry.name[:200]!r} would stand in place of all of it")
    if depth > DEEPEST:
        raise Invalid(f"the archive is refused: {entry.name[:200]!r} lies in more than {DEEPEST} directories")
    if "\0" in entry.name or "\0" in entry.linkname:
        raise Invalid(f"the archive is refused: {entry.name[:200]!r} has a NUL character in its name")


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    if entry.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(entry) if entry.isreg() else None
    if source is None:
        raise Invalid(f"the archive is refused: {entry.name[:200]!r} is no file, directory or link")
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path, entry)
    with source, path.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)
    path.chmod(0o600 | entry.mode & (0o755 if entry.mode & 0o100 else 0o644))
    when = min(max(float(entry.mtime), 0.0), LAST_TIME)
    os.utime(path, (when, when))


def _clear(path: Path, entry: tarfile.TarInfo) -> None:
    """A later entry of the same name takes the place of an earlier one."""
    if not entry.isdir() and path.is_file():
        path.unlink()


def _make_hard_link(into: Path, link: tarfile.TarInfo) -> None:
    """By hand: tarfile would copy what the link names, were it a symbolic link, before its time."""
    target = into / link.linkname
    if link.linkname.startswith("/") or ".." in PurePosixPath(link.linkname).parts or not target.is_file():
        raise Invalid(
            f"the archive is refused: {link.name[:200]!r} is a link to {link.linkname[:200]!r}, no file before it"
        )
    path = into / link.name
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path, link)
    os.link(target, path)


def _make_link(into: Path, link: tarfile.TarInfo) -> None:
    path = into / link.name
    _check_link(PurePosixPath(link.name), link.linkname)
    parent = path.parent
    while parent != into:
        if parent.is_symlink():
            raise Invalid(f"the archive is refused: {link.name[:200]!r} lies below a symbolic link")
        parent = parent.parent
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        raise Invalid(f"the archive is refused: {link.name[:200]!r} is both a directory and a link")
    path.unlink(missing_ok=True)
    os.symlink(link.linkname, path)


def _check_link(name: PurePosixPath, target: str) -> None:
    """Invalid unless the target lies in the tree, or where every job finds the system (virtualenvs link there)."""
    if target.startswith("/"):
        path = os.path.normpath(target)
        seen = (*SYSTEM, "/app", sys.base_prefix, os.path.realpath(sys.base_prefix), "/dev", "/proc", "/tmp")
        inside = any(f"{path}/".startswith(f"{place}/") for place in seen)
    else:
        path = os.path.normpath(os.path.join(os.path.dirname(str(name)), target))
        inside = path != ".." and not path.startswith("../")
    if not inside:
        raise Invalid(f"the archive is refused: the link {str(name)[:200]!r} leads out of it, to {target[:200]!r}")

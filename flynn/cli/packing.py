"""A directory as one gzip'd tar: what a deploy sends. All of this blocks: call it in a thread.

Left out: `.git`, and what `.gitignore` files (nested ones too) and the top `.slugignore` name, by git's rules.
"""

import gzip
import os
import posixpath
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pathspec import GitIgnoreSpec

from flynn.cli.words import count, size
from flynn.core.errors import Full, Invalid, NotFound, TooLarge

PACKED_LIMIT = 512 * 1024 * 1024
UNPACKED_LIMIT = 2 * 1024 * 1024 * 1024
ENTRY_LIMIT = 200_000
"""What the builder takes at most (docs/api.md, Builder)."""

IN_MEMORY = 4 * 1024 * 1024
"""Bytes of a packed tar that are not worth a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or symbolic link to be sent. `name` is its path from the top, with slashes."""

    name: str
    path: Path
    info: os.stat_result


@dataclass(frozen=True, slots=True)
class Ignore:
    """The patterns of one ignore file; `base` is its directory's path from the top, with a slash at its end."""

    base: str
    spec: GitIgnoreSpec

    def says(self, name: str) -> bool | None:
        """True: ignored; False: taken in again; None: nothing said. A directory's name ends with a slash."""
        return self.spec.check_file(name.removeprefix(self.base)).include


def scan(top: Path) -> list[Entry]:
    """What is to be sent, sorted. NotFound, Invalid or TooLarge says what cannot be sent."""
    if not top.is_dir():
        raise NotFound(f"{top} is not a directory; name the one that holds the app")
    entries: list[Entry] = []
    total = 0
    for entry in _walk(top, "", (), _ignores(top, "", ".slugignore")):
        entries.append(entry)
        total += entry.info.st_size if stat.S_ISREG(entry.info.st_mode) else 0
        if len(entries) > ENTRY_LIMIT:
            raise TooLarge(f"{top} holds more than {ENTRY_LIMIT} files; name what is not needed in .gitignore")
        if total > UNPACKED_LIMIT:
            raise TooLarge(f"{top} is larger than {size(UNPACKED_LIMIT)}; name what is not needed in .gitignore")
    if not entries:
        raise Invalid(f"{top} holds nothing to deploy")
    return entries


def summary(entries: list[Entry]) -> str:
    """`12 files, 34 kB`."""
    files = [entry.info.st_size for entry in entries if not stat.S_ISDIR(entry.info.st_mode)]
    return f"{count(len(files), 'file')}, {size(sum(files))}"


def pack(entries: list[Entry]) -> tuple[IO[bytes], int]:
    """The tar, at its start, and its size in bytes. Full, TooLarge; Invalid: a file cannot be read, or changed.

    The same files give the same bytes: names are sorted, owners are left out.
    """
    out = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="flynn-deploy-")  # noqa: SIM115 - the caller closes it
    try:
        with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for entry in entries:
                    _add(tar, entry)
                    if out.tell() > PACKED_LIMIT:
                        raise TooLarge(f"packed, it is larger than {size(PACKED_LIMIT)}; name more in .gitignore")
        length = out.tell()
        out.seek(0)
    except BaseException as error:
        out.close()
        if isinstance(error, OSError):
            raise Full(
                f"the directory cannot be packed in {tempfile.gettempdir()}: {error.strerror or error}"
            ) from None
        raise
    return out, length


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.name)
    info.mode = stat.S_IMODE(entry.info.st_mode) & 0o777
    info.mtime = int(entry.info.st_mtime)
    if stat.S_ISDIR(entry.info.st_mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif stat.S_ISLNK(entry.info.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.path)
        tar.addfile(info)
    else:
        try:
            file = entry.path.open("rb")
        except OSError as error:
            raise Invalid(f"{entry.name} cannot be read: {error.strerror}") from None
        with file:
            info.size = os.fstat(file.fileno()).st_size
            _add_file(tar, info, file)


def _add_file(tar: tarfile.TarFile, info: tarfile.TarInfo, file: IO[bytes]) -> None:
    try:
        tar.addfile(info, file)
    except OSError as error:
        if error.errno is None:  # tarfile's own: fewer bytes came than were announced
            raise Invalid(f"{info.name} changed while it was packed; deploy again") from None
        raise


def _walk(top: Path, base: str, git: tuple[Ignore, ...], slug: tuple[Ignore, ...]) -> Iterator[Entry]:
    git += _ignores(top, base, ".gitignore")
    try:
        found = sorted(os.scandir(top / base), key=lambda item: item.name)
    except OSError as error:
        raise Invalid(f"{top / base} cannot be read: {error.strerror}") from None
    for item in found:
        name = base + item.name
        info = item.stat(follow_symlinks=False)
        shown = name + "/" if stat.S_ISDIR(info.st_mode) else name
        if item.name == ".git" or ignored(shown, git) or ignored(shown, slug):
            continue
        _check(name, info.st_mode, item.path)
        yield Entry(name, Path(item.path), info)
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(top, shown, git, slug)


def ignored(name: str, ignores: tuple[Ignore, ...]) -> bool:
    """Whether the nearest ignore file that says anything about `name` leaves it out."""
    for ignore in reversed(ignores):
        said = ignore.says(name)
        if said is not None:
            return said
    return False


def _ignores(top: Path, base: str, name: str) -> tuple[Ignore, ...]:
    path = top / base / name
    try:
        lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.is_file() else []
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None
    # git: `dir/**` is all that is in `dir`, not `dir` itself, so that `!dir/kept` can take some of it in again.
    lines = [line[:-1] if line.rstrip().endswith("/**") else line for line in lines]
    return (Ignore(base, GitIgnoreSpec.from_lines(lines)),) if lines else ()


def _check(name: str, mode: int, path: str) -> None:
    if stat.S_ISLNK(mode):
        target = os.readlink(path)
        end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if posixpath.isabs(target) or end == ".." or end.startswith("../"):
            raise Invalid(f"the link {name} -> {target} leads out of the directory; copy the file, or ignore the link")
    elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a socket" if stat.S_ISSOCK(mode) else "a named pipe" if stat.S_ISFIFO(mode) else "a device"
        raise Invalid(f"{name} is {kind} and cannot be sent; remove it, or name it in .gitignore")

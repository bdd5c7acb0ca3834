"""The slug: the app's tree as a tar, gzip, in sorted order, owned by nobody in particular. The same tree makes the same
bytes, so that a source that is built again is nothing new to anybody."""

from __future__ import annotations

import os
import stat

from . import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Collection, Iterator
    from typing import IO

LEVEL = 2
"""Of gzip: a slug is moved once or twice, over a fast network; the developer waits for it."""

GZIP = 31
"""How zlib is told to write gzip, without a name and a time (zlib.h, deflateInit2)."""

ENTRIES, UNPACKED = 200_000, 2 << 30
"""Files, directories and links of a slug at most, and their bytes: no host unpacks more."""

DEEPEST = 100
"""Names in a path at most, for the same reason."""

LEFT_OUT = frozenset({".git", ".slugignore"})
"""Names at the top that no app needs to run."""


TIMELESS = ".profile.d/"
"""What is below it is sourced, whenever it was written."""


class Entry:
    """What goes into the tar as `name`: a file, a directory, a link, or what no tar holds."""

    def __init__(self, path: str, name: str, status: os.stat_result) -> None:
        self.path, self.name, self.status = path, name, status


def load() -> None:
    """Load what `write_tar` needs and what takes long: there may be time for that now."""
    import tarfile  # noqa: F401
    import zlib  # noqa: F401


def newest(top: str) -> int:
    """The time of the file that was changed last."""
    times = (int(entry.status.st_mtime) for entry in entries(top) if stat.S_ISREG(entry.status.st_mode))
    return max(times, default=0)


def write_tar(top: str, path: str, only: str = "", without: Collection[str] = (), newest: int | None = None) -> int:
    """Pack the tree at `top` into the file `path`; its size in bytes. `only` what is in this directory, or all but what
    is `without`. `newest`: the time of what is newer, if it has none of its own. BuildFailed: it cannot be packed."""
    import tarfile

    try:
        found = list(entries(top, only, without))
        if sum(_bytes(entry) for entry in found) > UNPACKED or len(found) > ENTRIES:
            raise BuildFailed(
                f"the slug would be over {UNPACKED >> 30} GiB or {ENTRIES} files; name what can go in .slugignore"
            )
        with open(path, "wb") as file, _Packed(file) as packed:
            with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
                for entry in found:
                    _add(tar, entry, newest)
    except OSError as error:
        where = os.path.relpath(os.fsdecode(error.filename), top) if error.filename else "what is in it"
        raise BuildFailed(f"the slug cannot be made: {where}: {error.strerror or error}") from None
    return os.path.getsize(path)


def entries(top: str, only: str = "", without: Collection[str] = ()) -> Iterator[Entry]:
    """All below `top` that goes into the tar, sorted, a directory before what is in it. OSError; BuildFailed: it lies
    too deep."""
    parts = only.split("/") if only else []
    for number in range(1, len(parts) + 1):
        name = "/".join(parts[:number])
        yield Entry(os.path.join(top, name), name, os.lstat(os.path.join(top, name)))
    yield from _below(os.path.join(top, only) if only else top, only, {*LEFT_OUT, *without})


def size_of(top: str) -> int:
    """Bytes of all files below `top`."""
    total, waiting = 0, [top]
    while waiting:  # However deep it is.
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    if not entry.is_dir(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
                    else:
                        waiting.append(entry.path)
        except OSError:
            continue  # It is gone, closed, or lies deeper than a path can say.
    return total


def human(size: int) -> str:
    """A size for people: `8.4 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


class _Packed:
    """What is written to it goes into the file, as gzip."""

    def __init__(self, file: IO[bytes]) -> None:
        import zlib

        self._file, self._zip = file, zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)

    def __enter__(self) -> _Packed:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.write(self._zip.flush())

    def write(self, data: bytes) -> int:
        self._file.write(self._zip.compress(data))
        return len(data)


def _below(folder: str, inner: str, left_out: Collection[str]) -> Iterator[Entry]:
    with os.scandir(folder) as listed:
        found = sorted(listed, key=lambda item: item.name)
    names = [(f"{inner}/{item.name}" if inner else item.name, item) for item in found]
    kept = [Entry(item.path, name, item.stat(follow_symlinks=False)) for name, item in names if name not in left_out]
    if kept and inner.count("/") >= DEEPEST - 1:
        raise BuildFailed(f"{inner[:60]}... lies too deep: a slug has {DEEPEST} names in a path at most")
    yield from (entry for entry in kept if not stat.S_ISDIR(entry.status.st_mode))
    for entry in kept:
        if stat.S_ISDIR(entry.status.st_mode):
            yield entry
            yield from _below(entry.path, entry.name, left_out)


def _bytes(entry: Entry) -> int:
    return 0 if stat.S_ISDIR(entry.status.st_mode) else entry.status.st_size


def _add(tar: tarfile.TarFile, entry: Entry, newest: int | None) -> None:
    mode = entry.status.st_mode
    info = tar.tarinfo(entry.name)
    info.mode, info.mtime = mode & 0o777, _time(entry, newest)
    if stat.S_ISREG(mode):
        with open(entry.path, "rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            tar.addfile(info, file)
    elif stat.S_ISDIR(mode):
        info.type = b"5"
        tar.addfile(info)
    elif stat.S_ISLNK(mode):
        info.type, info.linkname = b"2", os.readlink(entry.path)
        tar.addfile(info)


def _time(entry: Entry, newest: int | None) -> int:
    """When it was changed; but what each build makes anew, and nobody asks the time of, has that of the newest file of
    its source: else each would make another slug. All other files that a build has made keep theirs: by it a browser is
    told that it has a page already, and another build may have made another page of as many bytes."""
    changed = int(entry.status.st_mtime)
    if newest is None:
        return changed
    if stat.S_ISREG(entry.status.st_mode):
        return min(changed, newest) if entry.name.startswith(TIMELESS) or entry.name.endswith(".pyc") else changed
    return newest

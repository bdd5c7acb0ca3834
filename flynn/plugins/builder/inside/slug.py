"""The slug: the app's tree as a tar, gzip, in sorted order, owned by nobody in particular. The same tree makes the same
bytes, so that a source that is built again is nothing new to anybody."""

from __future__ import annotations

import os
import stat

from . import BuildFailed
from .tar import FILE, FOLDER, LINK, Tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

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


def newest(top: str) -> int:
    """The time of the file that was changed last."""
    times = (int(entry.status.st_mtime) for entry in entries(top) if stat.S_ISREG(entry.status.st_mode))
    return max(times, default=0)


def write_tar(top: str, path: str, only: str = "", without: Collection[str] = (), newest: int | None = None) -> int:
    """Pack the tree at `top` into the file `path`; its size in bytes. `only` what is in this directory, or all but what
    is `without`. `newest`: the time of what is newer, if it has none of its own. BuildFailed: it cannot be packed."""
    try:
        found = list(entries(top, only, without))
        if sum(_bytes(entry) for entry in found) > UNPACKED or len(found) > ENTRIES:
            raise BuildFailed(
                f"the slug would be over {UNPACKED >> 30} GiB or {ENTRIES} files; name what can go in .slugignore"
            )
        with open(path, "wb") as file, Tar(file) as tar:
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


def _add(tar: Tar, entry: Entry, newest: int | None) -> None:
    mode, time = entry.status.st_mode, _time(entry, newest)
    bits = mode & 0o777
    if stat.S_ISREG(mode):
        with open(entry.path, "rb") as file:
            tar.add(entry.name, FILE, bits, time, os.fstat(file.fileno()).st_size, file=file)
    elif stat.S_ISDIR(mode):
        tar.add(entry.name, FOLDER, bits, time)
    elif stat.S_ISLNK(mode):
        tar.add(entry.name, LINK, bits, time, link=os.readlink(entry.path))


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

"""The slug: the app's tree as a tar, gzip, in sorted order, owned by nobody in particular."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Collection, Iterator

from . import BuildFailed

LEVEL = 2
"""Of gzip: a slug is moved once or twice, over a fast network; the developer waits for it."""

ENTRIES, UNPACKED = 200_000, 2 << 30
"""Files, directories and links of a slug at most, and their bytes: no host unpacks more."""

DEEPEST = 100
"""Names in a path at most, for the same reason."""

LEFT_OUT = frozenset({".git", ".slugignore"})
"""Names at the top that no app needs to run."""


def write_tar(top: str, path: str, only: str = "", without: Collection[str] = ()) -> int:
    """Pack the tree at `top` into the file `path`; its size in bytes. `only` what is in this directory, or all but what
    is `without`. BuildFailed names what cannot be packed."""
    entry = top
    if size_of(top, only, without) > UNPACKED or sum(1 for _ in paths(top, only, without)) > ENTRIES:
        raise BuildFailed(
            f"the slug would be over {UNPACKED >> 30} GiB or {ENTRIES} files; name what can go in .slugignore"
        )
    try:
        with tarfile.open(path, "w:gz", compresslevel=LEVEL, format=tarfile.PAX_FORMAT) as tar:
            for entry in paths(top, only, without):
                _add(tar, entry, os.path.relpath(entry, top))
    except OSError as error:
        raise BuildFailed(f"the slug cannot be made: {os.path.relpath(entry, top)}: {error.strerror}") from None
    return os.path.getsize(path)


def paths(top: str, only: str = "", without: Collection[str] = ()) -> Iterator[str]:
    """Every path below `top` that goes into the tar, sorted, a directory before what is in it."""
    parts = only.split("/") if only else []
    yield from (os.path.join(top, *parts[:number]) for number in range(1, len(parts)))
    left_out = {os.path.join(top, name) for name in (*LEFT_OUT, *without)}
    for folder, folders, files in os.walk(os.path.join(top, *parts), onerror=_refuse):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in left_out]
        files = [name for name in files if os.path.join(folder, name) not in left_out]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(set(folders) - set(links))
        if folder != top:
            yield folder
            if (path := os.path.relpath(folder, top)).count("/") >= DEEPEST - 1 and (folders or files):
                raise BuildFailed(f"{path[:60]}... lies too deep: a slug has {DEEPEST} names in a path at most")
        yield from (os.path.join(folder, name) for name in sorted([*files, *links]))


def size_of(top: str, only: str = "", without: Collection[str] = ()) -> int:
    """Bytes of all files below `top`, or of those that would be packed."""
    total, waiting = 0, [os.path.join(top, only)]
    left_out = {os.path.join(top, name) for name in without}
    while waiting:  # However deep it is.
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    if not entry.is_dir(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
                    elif entry.path not in left_out:
                        waiting.append(entry.path)
        except OSError:
            continue  # It is gone, closed, or lies deeper than a path can say.
    return total


def human(size: int) -> str:
    """A size for people: `8.4 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _add(tar: tarfile.TarFile, path: str, name: str) -> None:
    mode = os.lstat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        return
    tar.inodes = {}  # type: ignore[attr-defined]  # each file stands for itself: no hard links in a slug
    info = tar.gettarinfo(path, name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = int(info.mtime)
    info.mode &= 0o777
    if info.isreg():
        with open(path, "rb") as file:
            tar.addfile(info, file)
    else:
        tar.addfile(info)


def _refuse(error: OSError) -> None:
    raise error

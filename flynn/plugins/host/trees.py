"""Trees of files that somebody else made: however deep they are, and whatever is closed in them.

A job can make thousands of levels, more than a path, a stack or the open files can hold.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

DEEP = 64
"""Levels that are gone down at once."""


def remove_tree(path: Path) -> None:
    """Remove a tree, also where a job or the kernel left directories closed (overlayfs: mode 0). Blocks.

    What cannot be removed stays, without a word. No link is followed.
    """
    with contextlib.suppress(OSError):
        with _opened(str(path)) as top:
            while _empty(top, top, DEEP):
                pass
        os.rmdir(path)


def copy_tree(tree: Path, to: Path) -> None:
    """Copy a tree over what is there: of what both have, this one counts, also where it is a link. Blocks."""

    def make_way(folder: str, names: list[str]) -> list[str]:
        for name in names:
            source, target = os.path.join(folder, name), os.path.join(to, os.path.relpath(folder, tree), name)
            if not os.path.lexists(target) or (_is_folder(source) and _is_folder(target)):
                continue
            remove_tree(Path(target)) if _is_folder(target) else os.unlink(target)
        return []

    shutil.copytree(tree, to, symlinks=True, dirs_exist_ok=True, ignore=make_way)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def walk(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each directory of a tree, the upper ones first, with the names in it that are no directories. Blocks.

    What cannot be read is passed over, as is what lies deeper than a path can say. No link is followed.
    """
    waiting = [str(path)]
    while waiting:
        folder = waiting.pop()
        names = []
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        names.append(entry.name)
        except OSError:
            continue
        yield folder, names


def own(path: Path, user: int, group: int) -> None:
    """Make a tree, with all in it, this user's, if it is not yet: the tree's own owner tells, who is changed last.

    Blocks. Only root may give files away; others have what is theirs alone. No link is followed, also none that a job
    puts in the way meanwhile. OSError: it cannot be; ESTALE: somebody moves directories of it about.
    """
    if os.geteuid() or path.stat().st_uid == user:
        return
    at = os.open(path, FOLDER)
    try:
        levels = [(_which(at), _given(at, user, group))]
        while levels:
            _, left = levels[-1]
            if left:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # Gone meanwhile, or now a link.
                    at = _stepped(at, left.pop())
                    levels.append((_which(at), _given(at, user, group)))
                continue
            levels.pop()
            if levels:
                at = _stepped(at, "..")
                if _which(at) != levels[-1][0]:
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
    finally:
        os.close(at)
    os.chown(path, user, group)


def _given(dir: int, user: int, group: int) -> list[str]:
    """Make what is in a directory this user's; the names of directories in it."""
    with os.scandir(dir) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, _ in entries:
        with contextlib.suppress(FileNotFoundError):
            os.chown(name, user, group, dir_fd=dir, follow_symlinks=False)
    return [name for name, is_dir in entries if is_dir]


def _stepped(dir: int, name: str) -> int:
    """The directory of that name in it, in place of it: of a tree that may be deeper than the open files reach."""
    file = os.open(name, FOLDER, dir_fd=dir)
    os.close(dir)
    return file


def _which(dir: int) -> tuple[int, int]:
    found = os.fstat(dir)
    return found.st_dev, found.st_ino


def _empty(dir: int, top: int, levels: int) -> bool:
    """Remove what is in it. Whether something lay too deep: that now is in `top`, for another turn."""
    moved = False
    with os.scandir(dir) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_dir in entries:
        with contextlib.suppress(OSError):
            if not is_dir:
                os.unlink(name, dir_fd=dir)
                continue
            with _opened(name, dir) as inner:
                if not levels:
                    os.rename(name, f".deep-{secrets.token_hex(8)}", src_dir_fd=dir, dst_dir_fd=top)
                    moved = True
                    continue
                moved = _empty(inner, top, levels - 1) or moved
            os.rmdir(name, dir_fd=dir)
    return moved


@contextlib.contextmanager
def _opened(name: str, dir: int | None = None) -> Iterator[int]:
    """A directory, made one that we may change."""
    try:
        file = os.open(name, FOLDER, dir_fd=dir)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=dir)
        file = os.open(name, FOLDER, dir_fd=dir)
    try:
        os.fchmod(file, 0o700)
        yield file
    finally:
        os.close(file)

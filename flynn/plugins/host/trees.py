"""Trees of files that somebody else made: however deep they are, and whatever is closed in them.

A job can make thousands of levels, more than a path, a stack or the open files can hold.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

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

    Blocks. Only root may give files away; others have what is theirs alone.
    """
    if os.geteuid() or path.stat().st_uid == user:
        return
    for folder, names in walk(path):
        for name in names:
            os.chown(os.path.join(folder, name), user, group, follow_symlinks=False)
        if folder != str(path):
            os.chown(folder, user, group, follow_symlinks=False)
    os.chown(path, user, group)


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
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(name, flags, dir_fd=dir)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=dir)
        file = os.open(name, flags, dir_fd=dir)
    try:
        os.fchmod(file, 0o700)
        yield file
    finally:
        os.close(file)

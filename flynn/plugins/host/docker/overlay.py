"""A writable `/app` that is thrown away, over a tree that all containers share: an overlay that the engine mounts.

The daemon may be root while jobs are not, so the trees are opened to the jobs' group once: what is in them stays
root's, and a job that changes a file gets a copy of its own (overlayfs, "copy up"), which keeps owner and mode.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from flynn.plugins.host.trees import copy_tree, own, remove_tree, walk

USER = 61_000
"""User and group of jobs where the daemon is root: nobody else on the machine should have this number, as who has the
same may end a job and read its environment. (Login users end at 59999; 61184 and above are systemd's.)"""


def owner() -> int:
    """The user, and group, that jobs run as: never root."""
    return os.geteuid() or USER


def group() -> int:
    return os.getegid() if os.geteuid() else USER


def can_overlay(*paths: Path) -> bool:
    """Whether these can be named in the options of a mount, which know no way to quote."""
    return not any(char in str(path) for path in paths for char in ',:\\"')


def open_tree(tree: Path) -> None:
    """Let jobs write to copies of what is in a tree; done once, of which the tree's own mode tells afterwards."""
    found = tree.stat()
    if os.geteuid() or (found.st_gid == group() and found.st_mode & 0o070 == 0o070):
        return
    for folder, files in walk(tree):
        for path in (os.path.join(folder, name) for name in files):
            if not os.path.islink(path):
                _share(path)
        if folder != str(tree):
            _share(folder)
    _share(str(tree))


def _share(path: str) -> None:
    mode = os.stat(path).st_mode & 0o7777
    os.chown(path, -1, group())
    os.chmod(path, mode | mode >> 3 & 0o070)


def give(path: Path) -> None:
    """Make a directory, with all in it, the jobs' own."""
    own(path, owner(), group())


def make(dir: Path, trees: Sequence[Path], copied: bool) -> None:
    """The directories for one run, in the job's directory. `copied`: the trees are copied, the first first, as no
    overlay works here."""
    remove(dir)
    (dir / "upper").mkdir(parents=True)
    (dir / "work").mkdir()
    (dir / "home").mkdir()
    for tree in trees:
        copy_tree(tree, dir / "upper") if copied else open_tree(tree)
    give(dir / "upper")
    give(dir / "home")


def remove(dir: Path) -> None:
    with contextlib.suppress(OSError):  # Root's own, closed to all others, where it is root that mounts.
        os.rmdir(dir / "work" / "work")
    for name in ("upper", "work", "home"):
        remove_tree(dir / name)

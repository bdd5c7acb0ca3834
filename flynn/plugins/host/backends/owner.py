"""Whose files are: the data of jobs is made the user's that they run as."""

import os
from collections.abc import Iterable
from pathlib import Path

from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.telling import telling


def own(binds: Iterable[Bind], user: int, group: int) -> None:
    """Make those that are the jobs' alone this user's. NotStarted: the disk does not let us."""
    for bind in binds:
        try:
            with telling(f"cannot be given {bind.source}"):
                if bind.owned:
                    give(bind.source, user, group)
        except RecursionError:
            raise NotStarted(f"cannot be given {bind.source}: its directories are nested too deep") from None


def give(path: Path, user: int, group: int) -> None:
    """Make a tree this user's, if it is not yet and this daemon may. Its root comes last, and so tells that all is.

    No link is followed, also none that a job puts in the way meanwhile.
    """
    if os.geteuid() or path.stat().st_uid == user:
        return
    for _, folders, files, here in os.fwalk(path):
        for name in (*folders, *files):
            os.chown(name, user, group, dir_fd=here, follow_symlinks=False)
    os.chown(path, user, group)

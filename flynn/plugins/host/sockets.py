"""UNIX sockets of jobs: where each may listen, and the name by which the routers of this machine reach it.

A job gets a directory of its own, KEY, and may bind `KEY/http.sock`. What stands there is the job's doing, so it is not
believed: it may be a link to somebody else's socket, or become one at any moment. It is opened without following a
link, it must be a socket that accepts, and that very inode is then linked as `KEY.sock`, in the directory above, which
a sandbox does not see. Routers use that name. It leads to what was bound in the job's directory, hence to what this job
made, and nowhere else, whatever the job does with its own name later. (Jobs of the backend `process` are not shut in:
they can do whatever the daemon's user can, with this or without.)
"""

import contextlib
import errno
import hashlib
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from flynn.plugins.host.life.health import FAILURES
from flynn.plugins.host.trees import remove_tree

log = logging.getLogger(__name__)

NAME = "http.sock"

LONGEST = 107
"""Bytes of a socket's path (unix(7): `sun_path` has 108, with a zero at the end)."""


class Sockets:
    """The sockets of this host's jobs, below `base`. None: there is no good place, or the system cannot do it."""

    def __init__(self, base: Path | None) -> None:
        self.base = base

    @staticmethod
    def below(data: Path) -> "Sockets":
        """In the agent's directory, or in a directory for things that run if that one's path is too long."""
        if not hasattr(os, "O_PATH"):
            return Sockets(None)
        return Sockets(next((path for path in _places(data.absolute()) if _fits(path) and _is_private(path)), None))

    def of(self, job: str) -> "JobSocket | None":
        """The socket of a job, by its id."""
        return JobSocket(self.base, _key(job)) if self.base else None

    def tidy(self, jobs: Iterable[str]) -> None:
        """Leave nothing but what belongs to these jobs."""
        if self.base:
            known = {_key(job) for job in jobs}
            for entry in [path for path in self.base.iterdir() if path.name.partition(".")[0] not in known]:
                if entry.is_dir() and not entry.is_symlink():
                    remove_tree(entry)
                else:
                    entry.unlink(missing_ok=True)
            _give_up(self.base)


class JobSocket:
    """`own` is the job's name of it, `path` that of the routers; `answers` tells what the last looks found."""

    def __init__(self, base: Path, key: str) -> None:
        self.dir, self.own, self.path = base / key, base / key / NAME, base / f"{key}.sock"
        self.answers = os.path.lexists(self.path)
        self._misses = 0

    def make(self) -> Path | None:
        """An empty directory for the job; the socket's path in it. None: it has to do with its port."""
        try:
            self.remove()
            if _is_private(self.dir.parent):
                self.dir.mkdir(mode=0o700)
                return self.own
        except OSError as error:
            log.warning("a job has no place for a UNIX socket: %s", error)
        return None

    def remove(self) -> None:
        """The job's process has ended. Blocks for as long as it takes to remove what the job left there."""
        self.answers = False
        self.path.unlink(missing_ok=True)
        remove_tree(self.dir)
        _give_up(self.dir.parent)

    @property
    def found(self) -> str:
        """What the last look found."""
        return str(self.path) if self.answers else ""

    def look(self) -> str:
        """The path at which the job answers now, "" if at none. Takes microseconds; the job cannot make it wait."""
        try:
            self._adopt()
            self.answers, self._misses = True, 0
        except OSError:
            self._misses += 1
            if self.answers and self._misses >= FAILURES:
                self.answers = False
                self.path.unlink(missing_ok=True)
        return self.found

    def _adopt(self) -> None:
        """Link what accepts at the job's name. OSError: it is no socket, nobody accepts, or it cannot be linked."""
        with _opened(self.own) as file, _opened(self.dir.parent, os.O_DIRECTORY) as base:
            found = os.fstat(file)
            if not stat.S_ISSOCK(found.st_mode):
                raise OSError(errno.ENOTSOCK, "it is no socket")
            _try(f"/proc/self/fd/{file}")
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(found, os.lstat(self.path)):
                    return
            fresh = f"{self.path.name}.part"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=base)
            os.link(f"/proc/self/fd/{file}", fresh, dst_dir_fd=base, follow_symlinks=True)
            os.rename(fresh, self.path.name, src_dir_fd=base, dst_dir_fd=base)


def _try(path: str) -> None:
    """OSError: nobody listens there. One whose queue is full does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            probe.connect(path)


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    """What stands there itself, not what a link there leads to; nothing is read or waited for (open(2), O_PATH)."""
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    try:
        yield file
    finally:
        os.close(file)


def _key(job: str) -> str:
    """A short name: paths of sockets are short, ids of jobs may not be."""
    return hashlib.sha256(job.encode()).hexdigest()[:16]


def _places(data: Path) -> Iterator[Path]:
    yield data / "sockets"
    name = f"flynn-{os.geteuid()}-{_key(str(data))}"
    for place in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.geteuid()}", tempfile.gettempdir()):
        if place:
            yield Path(place) / name


def _fits(base: Path) -> bool:
    return len(os.fsencode(base / _key("") / NAME)) <= LONGEST


def _give_up(base: Path) -> None:
    """Remove it if nothing is in it: it may be in a directory that is not ours."""
    with contextlib.suppress(OSError):
        base.rmdir()


def _is_private(base: Path) -> bool:
    """Whether this directory is ours alone; it is made if need be."""
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(base)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077

"""The /etc of all sandboxes: what they may see of the machine's, copied, so that it is one mount and not one a file.

The copy is brought up to date in place, file by file: a job that runs sees what is new as well. Only what everyone on
the machine may read is copied.
"""

import contextlib
import logging
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from flynn.plugins.host.sandbox.rootfs import ETC, HOSTS, SECRET, SOURCES, write_users

log = logging.getLogger(__name__)

FRESH = 1.0
"""Seconds for which the copy is believed to be what the machine has."""

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that is copied, at most."""

OWN = ("passwd", "group", "nsswitch.conf", "hosts")
"""What is not the machine's."""


Mark = tuple[int, int, int] | None
"""When a file was changed, its size, and which one it is; None: it is not there."""


class Etc:
    """The copy in `dir`. All of it blocks for a moment: call it in a thread; several may."""

    def __init__(self, dir: Path, machine: Path = Path("/etc")) -> None:
        self.dir, self.machine = dir, machine
        self._lock = threading.Lock()
        self._looked = -FRESH
        self._marks: dict[str, Mark] = {}

    @property
    def known(self) -> bool:
        """Whether there is a copy, which may have to be brought up to date."""
        return bool(self._marks)

    def refresh(self, now: float) -> None:
        """Make it what the machine has, unless that was done just now; `now` on a clock that never jumps.

        OSError: there is none yet, and the disk is full or broken.
        """
        with self._lock:
            if now - self._looked < FRESH:
                return
            if not self._marks or any(_mark(path) != mark for path, mark in self._marks.items()):
                self._copy_again()
            self._looked = now

    def _copy_again(self) -> None:
        try:
            self._marks = write_etc(self.dir, self.machine)
        except OSError as error:
            if not self._marks:
                raise
            log.warning("%s cannot be brought up to date: %s", self.dir, error)


def write_etc(etc: Path, machine: Path = Path("/etc")) -> dict[str, Mark]:
    """The whole /etc of a sandbox, in a directory that may hold an older one.

    What was copied: whoever finds all of it to be as it was need not copy again (to change a link changes the directory
    that it is in). OSError: the disk is full or broken.
    """
    etc.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_users(etc)
    _copy_link(f"..{HOSTS}", str(etc / "hosts"))
    marks: dict[str, Mark] = {}
    for name in ETC:
        _copy(str(machine / name), str(etc / name), marks, top=True)
    _remove_but(str(etc), {*OWN, *ETC})
    if (etc / SOURCES).parent.is_dir():
        (etc / SOURCES).touch()
    return marks


def _copy(source: str, target: str, marks: dict[str, Mark], top: bool = False) -> None:
    """A file, a link, or a tree; nothing, if it cannot be read. A link at the top is followed: it may lead out."""
    try:
        found = os.stat(source) if top else os.lstat(source)
    except OSError:
        marks[source] = None
        return _remove(target)
    if stat.S_ISLNK(found.st_mode):
        return _copy_link(os.readlink(source), target)
    marks[source] = _marked(found)
    if source in SECRET or not found.st_mode & 0o004:
        return _remove(target)
    if stat.S_ISDIR(found.st_mode):
        return _copy_tree(source, target, marks)
    if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST:
        return _copy_file(source, target, found)
    return _remove(target)


def _copy_tree(source: str, target: str, marks: dict[str, Mark]) -> None:
    try:
        names = os.listdir(source)
    except OSError:
        names = []
    if not _is(target, stat.S_ISDIR):
        _remove(target)
        os.mkdir(target, 0o755)
    for name in names:
        _copy(f"{source}/{name}", f"{target}/{name}", marks)
    _remove_but(target, set(names))


def _copy_link(leads: str, target: str) -> None:
    if not _is(target, stat.S_ISLNK) or os.readlink(target) != leads:
        _remove(target)
        os.symlink(leads, target)


def _copy_file(source: str, target: str, found: os.stat_result) -> None:
    """Copied only when it is another than at the last time. Whoever has it open keeps the old one."""
    with contextlib.suppress(FileNotFoundError):
        known = os.lstat(target)
        if stat.S_ISREG(known.st_mode) and _marked(known)[:2] == _marked(found)[:2]:
            return
    if _is(target, stat.S_ISDIR):
        _remove(target)
    partial = f"{target}.part"
    with contextlib.suppress(PermissionError, FileNotFoundError):
        shutil.copyfile(source, partial)
        os.chmod(partial, 0o755 if found.st_mode & 0o001 else 0o644)
        os.utime(partial, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.replace(partial, target)


def _mark(path: str) -> Mark:
    try:
        return _marked(os.stat(path))
    except OSError:
        return None


def _marked(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is(path: str, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _remove_but(dir: str, names: set[str]) -> None:
    for name in set(os.listdir(dir)) - names:
        _remove(f"{dir}/{name}")


def _remove(path: str) -> None:
    if _is(path, stat.S_ISDIR):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

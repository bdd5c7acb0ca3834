"""Directories of this machine that jobs may be given: only what its operator has listed, wherever links may lead."""

import os
from collections.abc import Sequence
from pathlib import Path

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.telling import telling

SETTING = "host.mounts"


def checked(mounts: Sequence[str], data: Path) -> tuple[str, ...]:
    """The setting. StartError: one is no directory that can be permitted. `data`: the daemon's own, which never is."""
    for text in mounts:
        path, _, mode = text.partition(":")
        if (
            not path.startswith("/")
            or os.path.normpath(path) != (path.rstrip("/") or "/")
            or mode not in ("", "ro", "rw")
        ):
            raise StartError(f"{SETTING}: {text!r} is no directory; write /srv/photos, or /srv/photos:ro to read only")
        if path == "/" or _related(Path(os.path.realpath(path)), data):
            raise StartError(f"{SETTING}: {path} holds this daemon's data, which no job may see; list what is below it")
    return tuple(mounts)


def resolve(source: str, read_only: bool, permitted: Sequence[str], data: Path) -> Path:
    """The directory itself, without links. NotStarted: it may not be given to a job, or it is not there."""
    with telling(f"cannot have {source}"):
        found = Path(os.path.realpath(source, strict=True))
    if not found.is_dir():
        raise NotStarted(f"cannot have {source}: it is no directory")
    if not any(_covers(text, found, read_only) for text in permitted) or _related(found, data):
        leads = f", which leads to {found}," if str(found) != source else ""
        to = "to read" if read_only else "to write to"
        raise NotStarted(f"may not have {source}{leads} {to} here: {SETTING} in flynn.toml lists what jobs may")
    return found


def _covers(text: str, found: Path, read_only: bool) -> bool:
    path, _, mode = text.partition(":")
    root = Path(os.path.realpath(path))
    return (read_only or mode != "ro") and (found == root or root in found.parents)


def _related(path: Path, data: Path) -> bool:
    """Whether one of them is in the other."""
    data = Path(os.path.realpath(data))
    return path == data or path in data.parents or data in path.parents

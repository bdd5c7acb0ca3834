"""A volume on this machine's disk: `APP/NAME/data`, and beside it `volume.json`, which says whose data that is.

Both go together: where their disk is not mounted, neither is there, and the data is known to be missing. All blocks.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from flynn.core import keys
from flynn.core.model import Mount
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.telling import telling
from flynn.plugins.host.trees import remove_tree

MARK = "volume.json"
GONE = ".gone-"
"""What a directory that is being removed is called."""


class Mark(msgspec.Struct, frozen=True):
    """Whose data it is."""

    id: str


def home_of(root: Path, app: str, name: str) -> Path:
    """Invalid: these are no names, so no directory is theirs."""
    return root / keys.check_name("app", app) / keys.check_name("volume", name)


def claim(root: Path, app: str, mount: Mount, stored: bool) -> Path:
    """The directory of a volume's data, without links in its path; made, if there never was one. `stored`: there was.

    NotStarted: what was there is missing, there is another volume's, or the disk does not take it.
    """
    home = home_of(root, app, mount.volume)
    data = home / "data"
    with telling(f"cannot have its volume {mount.volume}: {home}"):
        id = marked(home)
        if id not in ("", mount.id):
            raise NotStarted(
                f"cannot have its volume {mount.volume}: {home} has another's data, not known any more; move that away"
            )
        if not data.is_dir() and (id or stored):
            raise NotStarted(
                f"cannot have its volume {mount.volume}: the data is missing, {data} was there and is no more; mount "
                "its disk or bring it back; if it is lost, unmount the volume, delete it and make another"
            )
        _make(root, data, mount.id, id)
        return data.resolve(strict=True)


def _make(root: Path, data: Path, id: str, marked: str) -> None:
    """What is there without a mark was brought there, or made a moment before this daemon was killed: it is taken."""
    home = data.parent
    for path in (root, home.parent, home):
        path.mkdir(mode=0o700, exist_ok=True)
    data.mkdir(mode=0o755, exist_ok=True)
    if not marked:
        partial = home / f"{MARK}.part"
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(Mark(id)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, home / MARK)


def marked(home: Path) -> str:
    """The id of the volume whose data is there; empty: nothing says it. OSError: it cannot be read."""
    try:
        return msgspec.json.decode((home / MARK).read_bytes(), type=Mark).id
    except (FileNotFoundError, msgspec.DecodeError):
        return ""


def scratch(root: Path, job: str, name: str) -> Path:
    """A directory of this job alone, fresh when it first asks. NotStarted: the disk does not take it."""
    path = root / job / keys.check_name("volume", name)
    with telling(f"cannot have its scratch directory {path}"):
        root.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o755, exist_ok=True)
        return path.resolve(strict=True)


def drop_scratch(root: Path, job: str) -> None:
    """Those of a job that is no more."""
    remove_tree(root / job)


def remove(root: Path, app: str, name: str, id: str) -> str:
    """Delete a volume's data; why it could not be (""): it is gone. Another volume's in its place stays."""
    home = home_of(root, app, name)
    if not home.exists() or marked(home) not in ("", id):
        return ""
    aside = root / f"{GONE}{app}.{name}"
    try:
        remove_tree(aside)
        os.rename(home, aside)
    except OSError as error:  # A disk is mounted there.
        remove_tree(home)
        return f"{home} cannot be removed: {error.strerror}" if home.exists() else ""
    remove_tree(aside)
    with contextlib.suppress(OSError):
        home.parent.rmdir()
    return f"{aside} cannot be removed as a whole" if aside.exists() else ""


def tidy(volumes: Path, scratches: Path, alive: Collection[str]) -> None:
    """Clear away what an earlier daemon left half removed, and the scratch directories of jobs that are no more."""
    for path in volumes.glob(f"{GONE}*"):
        remove_tree(path)
    for path in scratches.iterdir() if scratches.is_dir() else ():
        if path.name not in alive:
            remove_tree(path)

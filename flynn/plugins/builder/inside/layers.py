"""Layers: directories of a slug that depend on a few files alone, as packages do on the file that names them.

A buildpack names such a directory by a key in which all is that it depends on. It is packed by itself, lies under the
slugs of all releases that have it, and need not be made again in a build of the app that comes to the same key.

For buildpacks, LAYERS_DIR is a directory: the file `known/KEY` is there if nothing need be made, and with a file
`used/KEY` they say that the slug stands on that layer; its text is the path of its directory in BUILD_DIR.
"""

from __future__ import annotations

import os
import posixpath
import stat

from . import BuildFailed
from .plain import is_dashed, loads
from .slug import write_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_LIMIT, MOST = 100, 8
"""Characters of a key, and layers of a slug, at most."""


class Layers:
    """`folder` is made, in the directory that the host takes what was built from."""

    def __init__(self, out: str, given: Mapping[str, str]) -> None:
        self.folder, self._packed = os.path.join(out, "told"), os.path.join(out, "layers")
        self.known = set(loads(given.get("BUILD_LAYERS") or "[]"))
        self._sealed: dict[str, int] = {}
        for name in ("known", "used"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        for key in self.known:
            with open(os.path.join(self.folder, "known", key), "w", encoding="utf-8"):
                pass

    def used(self) -> dict[str, str]:
        """The path of each layer's directory, by key. BuildFailed: a buildpack has said what cannot be."""
        found = {}
        folder = os.path.join(self.folder, "used")
        for key in sorted(os.listdir(folder)):
            with open(os.path.join(folder, key), encoding="utf-8") as file:
                path = posixpath.normpath(file.read().strip() or ".")
            if not is_dashed(key) or len(key) > KEY_LIMIT or path.startswith(("/", "..")) or path == ".":
                raise BuildFailed(f"a buildpack has told of a layer that cannot be: {key[:60]!r}, of {path[:60]!r}")
            found[key] = path
        if len(found) > MOST:
            raise BuildFailed(f"the buildpacks have told of {len(found)} layers; a slug has {MOST} at most")
        return found

    def seal(self, build: str) -> None:
        """Remember what those hold that the buildpacks so far have told of: another buildpack follows."""
        for key, path in self.used().items():
            if key not in self._sealed:
                self._sealed[key] = seen(os.path.join(build, path))

    def unchanged(self, build: str) -> dict[str, str]:
        """Those of `used` that no later buildpack has changed. What one has is of this build alone, and in its slug:
        the layer of an earlier release would be without it."""
        return {
            key: path
            for key, path in self.used().items()
            if key not in self._sealed or self._sealed[key] == seen(os.path.join(build, path))
        }

    def pack(self, build: str, used: Mapping[str, str]) -> None:
        """Those that are new, each as a tar."""
        for key, path in used.items():
            if key in self.known:
                continue
            if os.path.islink(os.path.join(build, path)) or not os.path.isdir(os.path.join(build, path)):
                raise BuildFailed(f"a buildpack has told of the layer {key}, but there is no directory {path}")
            os.makedirs(self._packed, exist_ok=True)
            write_tar(build, os.path.join(self._packed, f"{key}.tgz"), only=path)


def seen(top: str) -> int:
    """A number for what is in a directory, as far as sizes, times and links tell; not for bytecode, which whoever runs
    Python may leave there."""
    found = []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in [*folders, *sorted(files)]:
            status = os.lstat(os.path.join(folder, name))
            is_folder = name in folders and stat.S_ISDIR(status.st_mode)
            found.append((folder, name, status.st_mode, () if is_folder else (status.st_size, status.st_mtime_ns)))
    return hash(tuple(found))

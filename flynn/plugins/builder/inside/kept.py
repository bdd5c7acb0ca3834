"""What the buildpacks of others find again: what the last build has left that came to its end.

They change it as they go, and rely on it that a build that fails leaves nothing of that, as it is at Heroku: what one
leaves that ends between two of its steps, the next ones may take for whole. So each build has a copy.
"""

from __future__ import annotations

import os

from . import BuildFailed


class Kept:
    """In the directory `cache`, for the length of a block; flynn's own buildpacks have the rest of it."""

    def __init__(self, cache: str) -> None:
        self._good, self._copy, self._old = (os.path.join(cache, f"others{end}") for end in ("", ".part", ".old"))
        self._begun = False

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *error: object) -> None:
        if self._begun:
            _remove(self._copy, self._old)

    def copy(self) -> str:
        """The directory for `bin/compile`: one for all buildpacks of this build. BuildFailed: no room is left."""
        if not self._begun:
            self._begun = True
            _remove(self._copy)  # Of a build that was killed.
            if os.path.isdir(self._old) and not os.path.isdir(self._good):
                os.rename(self._old, self._good)
            if not os.path.isdir(self._good):
                os.mkdir(self._copy)
            elif _run("cp", "-a", self._good, self._copy):
                raise BuildFailed("what the last build has kept cannot be copied; the lines above say why")
        return self._copy

    def settle(self) -> None:
        """The build has come to its end: the next one finds what is in the copy."""
        if self._begun:
            _remove(self._old)
            if os.path.isdir(self._good):
                os.rename(self._good, self._old)
            os.rename(self._copy, self._good)


def _remove(*paths: str) -> None:
    """However deep they are."""
    if any(map(os.path.lexists, paths)):
        _run("rm", "-rf", *paths)


def _run(*words: str) -> int:
    import subprocess

    return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode

"""Where a build finds what it needs, and what a buildpack is told of that."""

from __future__ import annotations

import os

from . import BuildFailed
from .plain import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = ("BUILD_DIR", "APP_DIR", "TOOLS_DIR", "CACHE_DIR", "OUT_DIR")

OWN = ("FLYNN_", "PYTHON", "BUILD_", "OUT_DIR")
"""How variables begin that are between flynn and this program."""

STACKS = (((2, 39), "heroku-24"), ((2, 35), "heroku-22"), ((0, 0), "heroku-20"))
"""Heroku's stacks by the C library that programs made for them need at least."""


class Places:
    """The directories of a build: the source `build`, which becomes the slug; `app`, where the slug will be when it
    runs, empty now; the `tools`; the `cache` that is kept for the next build; and `out`, for what comes of it all."""

    def __init__(self, build: str, app: str, tools: str, cache: str, out: str) -> None:
        self.build, self.app, self.tools, self.cache, self.out = build, app, tools, cache, out

    @staticmethod
    def from_environ() -> Places:
        """BuildFailed: not all are there."""
        named = {name: os.environ.get(name, "") for name in NAMES}
        for name, path in named.items():
            if not os.path.isdir(path):
                raise BuildFailed(f"{name} is not a directory: {path!r}; a build is to be started by flynn")
        return Places(*(os.path.abspath(path) for path in named.values()))


def environ(places: Places, given: Mapping[str, str], layers: str = "") -> dict[str, str]:
    """The environment that a buildpack is run in, as Heroku has it. `given` is that of this program; `layers`: where
    flynn's own tell of layers."""
    env = {name: value for name, value in given.items() if not name.startswith(OWN)}
    env |= {"LAYERS_DIR": layers} if layers else {}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "STACK": stack(), **env, "HOME": places.app}


def stack() -> str:
    """Which of Heroku's stacks this machine is most like: buildpacks choose what they download by it."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        known = tuple(int(part) for part in version.split(".")[:2]) if name == "glibc" else (0, 0)
    except (ValueError, OSError):
        known = (0, 0)
    return next(name for needed, name in STACKS if known >= needed)


def config(given: Mapping[str, str]) -> dict[str, str]:
    """The app's config, which comes as JSON in pieces: one variable would be too small."""
    found: dict[str, str] = loads("".join(_pieces(given)) or "{}")
    return found


class Config:
    """The config as a buildpack reads it, for the length of a block: a directory with a file for each variable."""

    def __init__(self, found: Mapping[str, str]) -> None:
        self.found = found
        self.folder = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"config-{os.urandom(8).hex()}")

    def __enter__(self) -> str:
        os.mkdir(self.folder, 0o700)
        for name, value in self.found.items():
            if name and "/" not in name and name not in (".", ".."):
                with open(os.path.join(self.folder, name), "w", encoding="utf-8", newline="") as file:
                    file.write(value)
        return self.folder

    def __exit__(self, *error: object) -> None:
        try:
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)
        except OSError:  # A buildpack has done as it liked with it.
            import shutil

            shutil.rmtree(self.folder, ignore_errors=True)


def _pieces(given: Mapping[str, str]) -> Iterator[str]:
    """BUILD_ENV, BUILD_ENV_1, BUILD_ENV_2, ..."""
    name, number = "BUILD_ENV", 0
    while name in given:
        yield given[name]
        number += 1
        name = f"BUILD_ENV_{number}"

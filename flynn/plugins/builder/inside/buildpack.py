"""A buildpack: a directory with `bin/detect`, `bin/compile` and `bin/release`, as Heroku's buildpack API has them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import BuildFailed
from .procfile import parse_release
from .run import run

NONE_FITS = (
    "no buildpack fits: found no requirements.txt or pyproject.toml (python), package.json (nodejs), "
    "index.html (static) or Procfile (procfile)"
)

ANSWER_LIMIT = 60.0
"""Seconds that `bin/detect` and `bin/release` may take."""


@dataclass(frozen=True)
class Buildpack:
    """The buildpack in the directory `path`; `title` is what its `bin/detect` calls the app."""

    path: str
    title: str

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def compile(self, app: str, cache: str, config: str, env: Mapping[str, str]) -> None:
        """Turn the source in `app` into what will run; `config` is the directory with a file for each variable."""
        code = run([os.path.join(self.path, "bin", "compile"), app, cache, config], app, env)
        if code:
            raise BuildFailed(f"the buildpack {self.name} ended with code {code}; the lines above say why")

    def release(self, app: str, env: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """What `bin/release` says: `default_process_types`, `config_vars`. Empty where there is none."""
        program = os.path.join(self.path, "bin", "release")
        if not os.path.exists(program):
            return {}
        code, text = _ask(program, app, env)
        if code:
            raise BuildFailed(f"bin/release of the buildpack {self.name} ended with code {code}")
        return parse_release(text, self.name)


def choose(folder: str, names: Sequence[str], app: str, env: Mapping[str, str]) -> Buildpack:
    """The first of the buildpacks in `folder` that fits the app. BuildFailed: none does."""
    for name in names:
        path = os.path.join(folder, name)
        code, text = _ask(os.path.join(path, "bin", "detect"), app, env)
        if code == 0:
            return Buildpack(path, text.strip().partition("\n")[0] or name)
    raise BuildFailed(NONE_FITS)


def _ask(program: str, app: str, env: Mapping[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [program, app], env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=ANSWER_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{program} took over {ANSWER_LIMIT:g} s") from None
    except OSError as error:
        raise BuildFailed(f"{program} cannot be run: {error.strerror}") from None
    return done.returncode, done.stdout.decode("utf-8", "replace")

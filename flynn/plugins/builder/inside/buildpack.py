"""A buildpack: a directory with `bin/detect`, `bin/compile` and `bin/release`, as Heroku's buildpack API has them."""

from __future__ import annotations

import os
import sys

from . import BuildFailed
from .procfile import parse_release
from .run import Ended, run, run_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANSWER_LIMIT = 60.0
"""Seconds that `bin/detect` and `bin/release` may take, and the sourcing of `export`."""

TOLD = "pack.txt"
"""What flynn's own have instead of programs (`OwnPack`)."""


class Buildpack:
    """The buildpack in the directory `path`, by the name that people know it by."""

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name

    @property
    def own(self) -> bool:
        """Whether it came with the tools; all others have a name with a colon (`https:`, `shelf:`)."""
        return ":" not in self.name

    def detect(self, build: str, env: Mapping[str, str]) -> str:
        """What it calls the app; empty: it does not fit."""
        code, text = _ask([self._program("detect"), build], env)
        return (text.decode("utf-8", "replace").strip().partition("\n")[0] or self.name) if code == 0 else ""

    def compile(self, build: str, cache: str, config: str, env: Mapping[str, str]) -> None:
        """Turn the source in `build` into what will run; `config` is the directory with a file for each variable."""
        self._judge(run([self._program("compile"), build, cache, config], build, env))

    def _judge(self, ended: Ended) -> None:
        if ended.code and ended.reason and self.own:
            raise BuildFailed(ended.reason, told=True)
        if ended.code:
            raise BuildFailed(f"the buildpack {self.name} ended with code {ended.code}; the lines above say why")

    def release(self, build: str, env: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """What `bin/release` says: `default_process_types`, `config_vars`. Empty where there is none."""
        program = self._program("release")
        if not os.path.exists(program):
            return {}
        code, text = _ask([program, build], env)
        if code:
            raise BuildFailed(f"bin/release of the buildpack {self.name} ended with code {code}")
        return parse_release(text.decode("utf-8", "replace"), self.name)

    def exported(self, build: str, env: Mapping[str, str]) -> dict[str, str]:
        """The environment for the buildpacks after it: its `export`, sourced."""
        if not os.path.exists(os.path.join(self.path, "export")):
            return dict(env)
        import shutil

        shell = shutil.which("bash", path=env.get("PATH")) or "/bin/sh"
        script = f'cd "$1" && . "$2" >&2 && exec {ENV}'
        code, text = _ask([shell, "-c", script, shell, build, os.path.join(self.path, "export")], env)
        if code:
            raise BuildFailed(
                f"the file export of the buildpack {self.name} cannot be sourced; the lines above say why"
            )
        pairs = (entry.partition("=") for entry in os.fsdecode(text).split("\0") if entry)
        return {name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")}

    def copied(self, to: str) -> Buildpack:
        """A copy that it may write to, as it does to `export`; for one build."""
        import shutil

        shutil.copytree(self.path, to, symlinks=True)
        return Buildpack(to, self.name)

    def _program(self, name: str) -> str:
        return os.path.join(self.path, "bin", name)


class OwnPack(Buildpack):
    """One of flynn's own, a module of the tools. Its file `pack.txt` has three lines: what it calls an app, the
    files of which it needs one to fit, and the module, whose `main` is called as `bin/compile` is.

    Its `bin` does the same by the same file, for whoever runs that; here it takes no process but a fork of this one.
    """

    def __init__(self, path: str, name: str, home: str = "") -> None:
        super().__init__(path, name)
        self.home = home or path
        """Where it lies in the tools; `path` is where it may write."""

        with open(os.path.join(self.home, TOLD), encoding="utf-8") as file:
            self.title, files, self.module = file.read().splitlines()
        self.files = files.split()

    def detect(self, build: str, env: Mapping[str, str]) -> str:
        fits = any(os.path.isfile(os.path.join(build, file)) for file in self.files)
        return self.title if fits else ""

    def compile(self, build: str, cache: str, config: str, env: Mapping[str, str]) -> None:
        def main() -> None:
            __import__(self.module)
            sys.modules[self.module].main([build, cache, config])

        if env.get("PATH") != os.environ.get("PATH"):  # One before it may have brought another Python.
            import shutil

            shutil.copytree(self.home, self.path, dirs_exist_ok=True)
            return super().compile(build, cache, config, env)
        return self._judge(run_here(main, build, {**env, "PACK": self.path}))

    def release(self, build: str, env: Mapping[str, str]) -> dict[str, dict[str, str]]:
        try:
            with open(os.path.join(self.path, "web"), encoding="utf-8") as file:
                return parse_release(f"default_process_types:\n{file.read()}", self.name)
        except FileNotFoundError:
            return {}

    def copied(self, to: str) -> Buildpack:
        os.mkdir(to)
        return OwnPack(to, self.name, self.home)


def known(folder: str, name: str) -> Buildpack:
    """One of the tools."""
    path = os.path.join(folder, name)
    return OwnPack(path, name) if os.path.exists(os.path.join(path, TOLD)) else Buildpack(path, name)


ENV = "env -0"
"""All variables, each ended by a NUL: they may have any other character (env(1))."""


def check(path: str, name: str) -> Buildpack:
    """The buildpack in a directory that somebody else has made. BuildFailed: that is none."""
    for program in ("detect", "compile", "release"):
        full = os.path.join(path, "bin", program)
        if os.path.isfile(full):
            os.chmod(full, os.stat(full).st_mode | 0o555)
        elif program != "release":
            raise BuildFailed(f"{name} is no buildpack: it has no bin/{program}")
    return Buildpack(path, name)


def _ask(command: Sequence[str], env: Mapping[str, str]) -> tuple[int, bytes]:
    import subprocess

    try:
        done = subprocess.run(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=ANSWER_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{command[0]} took over {ANSWER_LIMIT:g} s") from None
    except OSError as error:
        raise BuildFailed(f"{command[0]} cannot be run: {error.strerror}") from None
    return done.returncode, done.stdout

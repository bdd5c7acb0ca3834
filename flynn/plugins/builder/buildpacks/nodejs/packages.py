"""Who installs the packages of an app: npm, yarn or pnpm, as its lock file says."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from ..lib.pack import Build, fail, output, run, say, warn

OUT_OF_DATE = "the lock file may be out of date: run {0} on your machine, and commit what it changes"

LOCKS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "package-lock.json": "npm", "npm-shrinkwrap.json": "npm"}
"""Whose each lock file is; of several the first counts."""


class Manager(NamedTuple):
    """One of them, as it is called. `files`: its lock files. `program`: where it is, once node is there. `keeps`: all
    that it installs is in `node_modules`."""

    name: str
    files: Sequence[str]
    program: Callable[[], str]
    with_dev: Sequence[str]
    without_dev: Sequence[str]
    pruning: Sequence[str]
    keeps: bool = True

    def install(self, dev: bool) -> None:
        """All packages; `dev`: also those that only a build needs."""
        words = [self.program(), *(self.with_dev if dev else self.without_dev)]
        say(f"Installing packages with {self.name} {words[1]}")
        run(words, OUT_OF_DATE.format(f"{self.name} install"))

    def script(self, name: str, text: str) -> None:
        """Run a script of package.json."""
        say(f"Running the {name} script: {text}")
        run([self.program(), "run", name], "its lines above say why")

    def prune(self) -> None:
        """Take away what only a build needs."""
        if self.pruning:
            run([self.program(), *self.pruning])


def choose(build: Build, package: dict[str, Any]) -> Manager:
    """By the lock file, else npm."""
    asked = str(package.get("packageManager") or "")
    locks = [name for name in LOCKS if build.has(name)]
    if len({LOCKS[name] for name in locks}) > 1:
        warn(f"there are {' and '.join(locks)}: {locks[0]} is read; remove those that you do not mean")
    if "pnpm-lock.yaml" in locks:
        return pnpm(build, asked)
    if "yarn.lock" in locks:
        return yarn(build, asked)
    return npm(locks)


def npm(locks: Sequence[str]) -> Manager:
    """npm comes with node."""
    verb = "ci" if locks else "install"
    files = ("package-lock.json", "npm-shrinkwrap.json")
    return Manager("npm", files, lambda: "npm", [verb, "--include=dev"], [verb, "--omit=dev"], ["prune", "--omit=dev"])


def yarn(build: Build, asked: str) -> Manager:
    """yarn of the first generation, or a later one, which has its own settings in the source."""
    if not build.has(".yarnrc.yml") and not re.match(r"yarn@[2-9]", asked):
        program = partial(bring, build, "yarn", asked, "1", lambda version: version.startswith("1."))
        usual = ["install", "--frozen-lockfile", "--non-interactive", "--no-progress"]
        os.environ["YARN_CACHE_FOLDER"] = os.path.join(build.cache, "yarn")
        without = [*usual, "--production=true"]
        return Manager("yarn", ["yarn.lock"], program, [*usual, "--production=false"], without,
                       [*without, "--ignore-scripts", "--offline"])  # fmt: skip
    own = re.search(r"^yarnPath: *[\"']?([^\s\"']+)", build.read(".yarnrc.yml"), re.MULTILINE)
    later = partial(bring, build, "@yarnpkg/cli-dist", asked, "4", lambda version: version[0] > "1")
    program = partial(build.path, own[1]) if own else later
    os.environ.update({"YARN_ENABLE_GLOBAL_CACHE": "true", "YARN_GLOBAL_FOLDER": os.path.join(build.cache, "berry"),
                       "YARN_ENABLE_TELEMETRY": "false"})  # fmt: skip
    focus = ["workspaces", "focus", "--production", "--all"]
    keeps = bool(re.search(r"^nodeLinker: *[\"']?node-modules", build.read(".yarnrc.yml"), re.MULTILINE))
    return Manager("yarn", ["yarn.lock"], program, ["install", "--immutable"], focus, focus, keeps)


def pnpm(build: Build, asked: str) -> Manager:
    program = partial(bring, build, "pnpm", asked, "9", lambda version: True)
    os.environ.update({"npm_config_store_dir": os.path.join(build.cache, "pnpm"), "CI": "true"})
    usual = ["install", "--frozen-lockfile", "--reporter=append-only"]
    return Manager("pnpm", ["pnpm-lock.yaml", "pnpm-workspace.yaml"], program, [*usual, "--prod=false"],
                   [*usual, "--prod"], ["prune", "--prod", "--ignore-scripts"])  # fmt: skip


@cache
def bring(build: Build, package: str, asked: str, usual: str, fits: Callable[[str], bool]) -> str:
    """A program that npm can install: the machine's, if it is what is asked for, else in the cache by its version."""
    name = "yarn" if "yarn" in package else package
    pinned = re.fullmatch(rf"{name}@(\d+(?:\.\d+)*(?:-[\w.]+)?)(?:\+.*)?", asked)
    version = pinned[1] if pinned else usual
    if (found := shutil.which(name)) and os.path.realpath(found).startswith("/usr/"):
        there = output([found, "--version"])
        if there and (there == version if pinned else fits(there)):
            return found
    home = os.path.join(build.cache, "programs", f"{name}-{version}")
    program = os.path.join(home, "node_modules", ".bin", name)
    if not os.path.exists(program):
        say(f"Bringing {name} {version}")
        shutil.rmtree(home, ignore_errors=True)
        run(["npm", "install", "--silent", "--no-save", "--prefix", home, f"{package}@{version}"],
            f"{name} {version} cannot be had from the registry; see packageManager in package.json")  # fmt: skip
    if not os.path.exists(program):
        fail(f"the package {package} {version} brought no program {name}; see packageManager in package.json")
    return program

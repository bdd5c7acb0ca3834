"""Submodules of a source that was pushed: fetched over https, with the network of the build, and kept for the next one.

The push leaves in `.flynn/submodules.json` which commit of which repository belongs at which path.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from . import SUBMODULES as FILE
from . import BuildFailed
from .fetch import COMMIT, git

DEPTH = 5
"""Submodules within submodules."""


def bring_submodules(build: str, cache: str, env: Mapping[str, str]) -> None:
    """Put them where they belong. BuildFailed: one cannot be had."""
    try:
        with open(os.path.join(build, FILE), encoding="utf-8") as file:
            found: list[dict[str, Any]] = json.load(file)
        wanted = [(str(one["path"]), str(one["url"]), str(one["commit"])) for one in found]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BuildFailed(f"{FILE} cannot be read: {error!r}") from None
    shutil.rmtree(os.path.dirname(os.path.join(build, FILE)))
    for path, url, commit in wanted:
        bring(build, path, url, commit, cache, env)


def bring(build: str, path: str, url: str, commit: str, cache: str, env: Mapping[str, str], depth: int = 0) -> None:
    """One of them, and those within it."""
    if not inside(build, path):
        raise BuildFailed(f"the submodule {path!r} leads out of the source")
    if not url.startswith("https://") or not COMMIT.fullmatch(commit):
        raise BuildFailed(f"the submodule {path} cannot be fetched: only commits, over https://, can")
    print(f"-----> Fetching submodule {path} ({commit[:8]})", flush=True)
    kept = os.path.join(cache, "submodules", f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.git")
    fetch(kept, path, url, commit, env)
    to = os.path.join(build, path)
    os.makedirs(to, exist_ok=True)
    here = [f"--git-dir={kept}", f"--work-tree={to}"]
    problem = git([*here, "read-tree", commit], env) or git([*here, "checkout-index", "--all", "--force"], env)
    if problem:
        raise BuildFailed(f"the submodule {path} cannot be checked out: {problem}")
    for inner, address, at in within(kept, to, url, commit, env):
        if depth == DEPTH:
            raise BuildFailed(f"the submodule {path} has submodules more than {DEPTH} deep")
        bring(build, posixpath.join(path, inner), address, at, cache, env, depth + 1)


def fetch(kept: str, path: str, url: str, commit: str, env: Mapping[str, str]) -> None:
    """Have the commit in the repository `kept`, which is made if need be."""
    here = [f"--git-dir={kept}"]
    for lock in glob.glob(os.path.join(glob.escape(kept), "**", "*.lock"), recursive=True):
        os.unlink(lock)  # Of a build that was killed: no other has this cache now.
    if not os.path.isdir(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.rmtree(f"{kept}.part", ignore_errors=True)
        if problem := git(["init", "--quiet", "--bare", f"{kept}.part"], env):
            raise BuildFailed(f"the submodule {path} cannot be kept: {problem}")
        os.rename(f"{kept}.part", kept)
    if not git([*here, "cat-file", "-e", f"{commit}^{{commit}}"], env):
        return
    if not git([*here, "fetch", "--quiet", "--depth", "1", url, commit], env):
        return
    problem = git([*here, "fetch", "--quiet", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], env)
    if problem or git([*here, "cat-file", "-e", f"{commit}^{{commit}}"], env):
        why = problem or f"{url} has no commit {commit[:12]}; push it there, or set the submodule to one that is"
        raise BuildFailed(f"the submodule {path} cannot be fetched: {why}")


def within(kept: str, to: str, url: str, commit: str, env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Path, address and commit of each submodule of a submodule."""
    import urllib.parse

    config = os.path.join(to, ".gitmodules")
    if os.path.islink(config) or not os.path.isfile(config):
        return
    addresses = dict(_addresses(config))
    for path, at in links(kept, commit, env):
        if path not in addresses:
            raise BuildFailed(f"{path} in {url} is a submodule, but .gitmodules does not say where it comes from")
        yield path, urllib.parse.urljoin(f"{url.rstrip('/')}/", addresses[path]), at


def links(kept: str, commit: str, env: Mapping[str, str]) -> list[tuple[str, str]]:
    """The paths of a tree at which it has commits, and these."""
    words = ["git", f"--git-dir={kept}", "ls-tree", "-r", "-z", commit]
    listed = subprocess.run(words, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    found = re.findall(r"(?:^|\0)160000 commit ([0-9a-f]+)\t([^\0]*)", listed.decode("utf-8", "surrogateescape"))
    return [(path, at) for at, path in found]


def inside(build: str, path: str) -> bool:
    """Whether a path is one of the source, and no link leads out of it."""
    if not path or path.startswith("/") or ".." in path.split("/") or ".git" in path.lower().split("/"):
        return False
    top = os.path.realpath(build)
    return os.path.realpath(os.path.join(build, path)).startswith(f"{top}/")


def _addresses(config: str) -> Iterator[tuple[str, str]]:
    """The URL of each submodule by its path, as `.gitmodules` has them."""
    import configparser  # Few builds have submodules within submodules.

    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    try:
        with open(config, encoding="utf-8", errors="replace") as file:
            parser.read_string("".join(line.lstrip() for line in file))
    except configparser.Error as error:
        raise BuildFailed(f"{config} cannot be read: {error}") from None
    for section in parser.sections():
        if parser.has_option(section, "path"):
            yield parser.get(section, "path"), parser.get(section, "url", fallback="")

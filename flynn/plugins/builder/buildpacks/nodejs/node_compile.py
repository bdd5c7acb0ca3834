"""The buildpack nodejs: node where the machine's does not do, the packages, the build script. Run by `bin/compile`."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import Any

from ..lib.pack import Build, Kept, begin, certificates, digest, fail, say
from . import node_app
from .node import Node, find_node, have_node
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
    node, manager = find_node(build, package), choose(build, package)
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


def key_of(build: Build, package: dict[str, Any], node: Node, manager: Manager, dev: bool) -> str:
    """All that says which packages there are; empty: files of the source itself do."""
    matters = json.dumps({name: package[name] for name in MATTERS if name in package}, sort_keys=True)
    files = [f"{name}\n{build.read(name)}" for name in (*manager.files, ".npmrc", ".yarnrc", ".yarnrc.yml")]
    if not manager.keeps or is_local(package, files):
        return ""
    return digest(VERSION, node.version, manager.name, dev, matters, *files)


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

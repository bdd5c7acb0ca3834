"""The buildpack nodejs: by whom packages are installed, what is taken as it was, which scripts are run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.builder.building import Built, build, write_app
from tests.plugins.builder.test_buildpacks import load_pack

node_compile = load_pack("nodejs", "node_compile")

KEPT = "-----> Nothing has changed in what it needs: installed as before"
LEFT_PAD = "left-pad@1.3.0"
SHA = "XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA=="
URL = "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz"
YARN_LOCK = f"""# yarn lockfile v1


left-pad@1.3.0:
  version "1.3.0"
  resolved "{URL}"
  integrity sha512-{SHA}
"""
PNPM_LOCK = f"""lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      left-pad:
        specifier: 1.3.0
        version: 1.3.0

packages:

  left-pad@1.3.0:
    resolution: {{integrity: sha512-{SHA}}}

snapshots:

  left-pad@1.3.0: {{}}
"""
NPM_LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"left-pad": "1.3.0"}},
        "node_modules/left-pad": {"version": "1.3.0", "resolved": URL, "integrity": f"sha512-{SHA}"},
    },
}
USES = 'process.stdout.write(require("left-pad")("7", 3, "0") + "\\n")'


def package(**more: Any) -> str:
    return json.dumps(
        {"dependencies": {"left-pad": "1.3.0"}, "scripts": {"start": "node a.js", "build": f"node -e '{USES}'"}} | more
    )


async def built(files: Mapping[str, str], folder: Path, kit: Path, cache: Path) -> Built:
    done = await build(write_app(folder, files), kit, cache)
    assert done.code == 0, done.text
    return done


LOCKS = {
    "npm ci": {"package.json": package(), "package-lock.json": json.dumps(NPM_LOCK)},
    "yarn install": {"package.json": package(), "yarn.lock": YARN_LOCK},
    "pnpm install": {"package.json": package(packageManager="pnpm@9.15.9"), "pnpm-lock.yaml": PNPM_LOCK},
}


@pytest.mark.parametrize("words", LOCKS)
async def test_who_installs_is_as_the_lock_file_says(words: str, tmp_path: Path, kit: Path, cache: Path) -> None:
    done = await built(LOCKS[words], tmp_path / "app", kit, cache)
    assert f"-----> Installing packages with {words}" in done.text
    assert "       007\n" in done.text
    assert (done.app / "node_modules" / "left-pad" / "package.json").exists()
    assert done.result["processes"] == {"web": "node a.js"}


async def test_a_lock_file_that_is_out_of_date_is_told_with_the_remedy(tmp_path: Path, kit: Path, cache: Path) -> None:
    files = {**LOCKS["npm ci"], "package.json": package(dependencies={"left-pad": "1.2.0"})}
    done = await build(write_app(tmp_path / "app", files), kit, cache)
    assert done.last == (
        " !     npm ci --include=dev ended with code 1; the lock file may be out of date: run npm install on your "
        "machine, and commit what it changes"
    )


async def test_what_was_installed_is_taken_until_what_it_depends_on_changes(tmp_path: Path, kit: Path) -> None:
    cache = tmp_path / "cache"
    files = {**LOCKS["npm ci"], "package.json": package(scripts={"start": "node a.js"}), "a.js": "1"}
    assert KEPT not in (await built(files, tmp_path / "a", kit, cache)).text
    changed = {**files, "package.json": package(scripts={"start": "node a.js -v"}, version="2.0.0"), "a.js": "2"}
    again = await built(changed, tmp_path / "b", kit, cache)
    assert KEPT in again.text
    assert "node_modules/left-pad/package.json" in again.names()
    script = package(scripts={"start": "node a.js", "postinstall": "touch made"})
    assert KEPT not in (await built({**files, "package.json": script}, tmp_path / "c", kit, cache)).text


async def test_the_scripts_that_heroku_knows(tmp_path: Path, kit: Path, cache: Path) -> None:
    scripts = {name: f"echo ran {name}" for name in ("heroku-prebuild", "heroku-postbuild", "build")}
    done = await built(
        {"package.json": json.dumps({"scripts": scripts}), "server.js": ""}, tmp_path / "app", kit, cache
    )
    ran = [line.strip() for line in done.text.splitlines() if line.strip().startswith("ran ")]
    assert ran == ["ran heroku-prebuild", "ran heroku-postbuild"]
    assert done.result["processes"] == {"web": "node server.js"}


@pytest.mark.parametrize(
    ("package", "local"),
    [
        ({"dependencies": {"a": "^1"}}, False),
        ({"dependencies": {"a": "file:lib"}}, True),
        ({"workspaces": ["packages/*"]}, True),
        ({"scripts": {"prepare": "husky"}}, True),
        ({"scripts": {"build": "x"}}, False),
    ],
)
def test_what_may_change_while_its_files_stay(package: dict[str, Any], local: bool) -> None:
    assert node_compile.is_local(package, []) is local

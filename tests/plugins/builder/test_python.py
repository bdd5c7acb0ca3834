"""The buildpack python: which lock file counts, what is installed again, and what is taken as it was."""

import asyncio
import os
import py_compile
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.plugins.builder.building import Built, build, write_app
from tests.plugins.builder.https import serving
from tests.plugins.builder.test_buildpacks import load_pack
from tests.plugins.builder.test_submodules import repository

app = load_pack("python", "python_app")
moving = load_pack("python", "moving")
runtime = load_pack("python", "runtime")
WEB = {"Procfile": "web: x\n"}
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
KEPT = "Nothing has changed in what it needs: installed as before"


async def built(files: Mapping[str, str], folder: Path, kit: Path, cache: Path) -> Built:
    done = await build(write_app(folder, {**WEB, **files}), kit, cache)
    assert done.code == 0, done.text
    return done


def packages(done: Built) -> set[str]:
    found = (done.app / ".venv").glob("lib/*/site-packages/*.dist-info")
    return {path.name.partition("-")[0].lower() for path in found}


async def test_what_was_installed_is_taken_until_what_it_depends_on_changes(tmp_path: Path, kit: Path) -> None:
    cache = tmp_path / "cache"
    files = {"requirements.txt": "-r base.txt\n", "base.txt": "itsdangerous==2.2.0\n", "app.py": "1"}
    assert KEPT not in (await built(files, tmp_path / "a", kit, cache)).text
    again = await built({**files, "app.py": "2"}, tmp_path / "b", kit, cache)
    assert KEPT in again.text
    assert packages(again) == {"itsdangerous"}
    changed = await built({**files, "base.txt": "markupsafe==3.0.2\n"}, tmp_path / "c", kit, cache)
    assert KEPT not in changed.text
    assert packages(changed) == {"markupsafe"}
    assert KEPT in (await built(files, tmp_path / "d", kit, cache)).text
    config = await build(
        write_app(tmp_path / "e", {**WEB, **files}), kit, cache, {"PIP_INDEX_URL": "https://pypi.org/simple/"}
    )
    assert KEPT not in config.text


async def test_a_project_of_the_source_itself_is_always_installed(tmp_path: Path, kit: Path) -> None:
    project = '[project]\nname = "mine"\nversion = "1"\n[build-system]\nrequires = ["setuptools"]\n'
    project += 'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npy-modules = ["mine"]\n'
    files = {"pyproject.toml": project, "requirements.txt": ".\n", "mine.py": "A = 1\n"}
    for name, text in (("a", "A = 1\n"), ("b", "A = 2\n")):
        done = await built({**files, "mine.py": text}, tmp_path / name, kit, tmp_path / "cache")
        (module,) = (done.app / ".venv").glob("lib/*/site-packages/mine.py")
        assert module.read_text() == text


UV_LOCK = """version = 1
requires-python = ">=3.9"

[[package]]
name = "itsdangerous"
version = "2.2.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/04/96/92447566d16df59b2a776c0fb82dbc4d9e07cd95062562af01e408583fc4/\
itsdangerous-2.2.0-py3-none-any.whl", \
hash = "sha256:c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef", size = 16234 },
]

[[package]]
name = "mine"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "itsdangerous" }]

[package.metadata]
requires-dist = [{ name = "itsdangerous", specifier = ">=2" }]
"""
POETRY_LOCK = """[[package]]
name = "itsdangerous"
version = "2.2.0"
description = "x"
optional = false
python-versions = ">=3.8"
groups = ["main"]
files = [
    {file = "itsdangerous-2.2.0-py3-none-any.whl", \
hash = "sha256:c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef"},
]

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "e59e43f1eae96560194e6511e2bfc1bb4d1b54d2438a740b5ac470b22636657d"
"""


async def test_a_lock_file_of_uv_is_followed(tmp_path: Path, kit: Path, cache: Path) -> None:
    project = '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["itsdangerous>=2"]\n'
    done = await built({"pyproject.toml": project, "uv.lock": UV_LOCK}, tmp_path / "app", kit, cache)
    assert "-----> Installing uv.lock" in done.text
    assert packages(done) == {"itsdangerous"}


async def test_a_lock_file_of_poetry_is_followed(tmp_path: Path, kit: Path, cache: Path) -> None:
    project = '[tool.poetry]\nname = "mine"\nversion = "1"\ndescription = ""\nauthors = []\npackage-mode = false\n'
    project += '[tool.poetry.dependencies]\npython = ">=3.9"\nitsdangerous = ">=2"\n'
    files = {"pyproject.toml": project, "poetry.lock": POETRY_LOCK}
    assert packages(await built(files, tmp_path / "app", kit, cache)) == {"itsdangerous"}
    stale = write_app(tmp_path / "stale", {**WEB, **files, "pyproject.toml": f'{project}click = "*"\n'})
    done = await build(stale, kit, cache)
    assert (done.code, done.last) == (
        1,
        " !     uv tool run ended with code 1; poetry cannot read poetry.lock: run poetry lock, and commit it",
    )


async def test_the_hooks_of_the_app_are_run_with_what_was_installed(tmp_path: Path, kit: Path, cache: Path) -> None:
    files = {
        "requirements.txt": "itsdangerous==2.2.0\n",
        "bin/pre_compile": "#!/bin/sh\necho before\n",
        "bin/post_compile": "#!/bin/sh\npython -c 'import itsdangerous, helper; print(\"after\", helper.A)'\n",
        "helper.py": "A = 7\n",
    }
    done = await built(files, tmp_path / "app", kit, cache)
    assert "       before\n" in done.text
    assert "       after 7\n" in done.text


async def test_bytecode_that_was_committed_is_not_believed(tmp_path: Path, kit: Path, cache: Path) -> None:
    folder = write_app(tmp_path / "app", {**WEB, "requirements.txt": "", "inner/words.py": "A = 3\n"})
    py_compile.compile(str(folder / "inner/words.py"), doraise=True)
    time = (folder / "inner/words.py").stat().st_mtime
    (folder / "inner/words.py").write_text("A = 4\n")
    os.utime(folder / "inner/words.py", (time, time))  # As all files of a commit have.
    done = await build(folder, kit, cache)
    assert done.code == 0, done.text
    says = [str(folder / ".venv/bin/python"), "-c", "import words; print(words.A)"]
    assert await asyncio.to_thread(subprocess.check_output, says, cwd=folder / "inner", text=True) == "4\n"


DJANGO = {
    "requirements.txt": "",
    "manage.py": "import sys\nprint('manage', *sys.argv[1:])\nopen('made', 'w')\nsys.exit(len(open('code').read()))\n",
    "mine/settings.py": "import os\nSTATIC_ROOT = 'static'\n",
    "code": "",
}


async def test_static_files_of_django_are_collected(tmp_path: Path, kit: Path, cache: Path) -> None:
    done = await built(DJANGO, tmp_path / "app", kit, cache)
    assert "       manage collectstatic --noinput\n" in done.text
    assert "made" in done.names()
    bad = await build(write_app(tmp_path / "bad", {**WEB, **DJANGO, "code": "x"}), kit, cache)
    assert bad.last == (
        " !     python manage.py collectstatic ended with code 1; set DISABLE_COLLECTSTATIC=1 in the config to go "
        "without (flynn env set)"
    )
    off = write_app(tmp_path / "off", {**WEB, **DJANGO, "code": "x"})
    assert (await build(off, kit, cache, {"DISABLE_COLLECTSTATIC": "1"})).code == 0
    none = {**DJANGO, "code": "x", "mine/settings.py": "# STATIC_ROOT = 'x'\n"}
    assert "manage" not in (await built(none, tmp_path / "none", kit, cache)).text


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, ("", "")),
        ({"runtime.txt": "python-3.12.1\n"}, ("3.12.1", "runtime.txt")),
        ({"runtime.txt": "3.12"}, ("3.12", "runtime.txt")),
        ({".python-version": "# mine\n\n3.11 # newer\n", "runtime.txt": "python-3.9"}, ("3.11", ".python-version")),
    ],
)
def test_the_version_that_is_asked_for(tmp_path: Path, files: dict[str, str], wanted: tuple[str, str]) -> None:
    assert runtime.wanted(app.Build(str(write_app(tmp_path, files)), "", "", "")) == wanted


def test_what_says_no_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runtime.wanted(app.Build(str(write_app(tmp_path, {"runtime.txt": "pypy3\n"})), "", "", ""))
    assert capsys.readouterr().out == (
        " !     runtime.txt does not say a version of Python: 'pypy3'; write 3.12, for example\n"
    )


@pytest.mark.parametrize(
    ("files", "local"),
    [
        ({"requirements.txt": "flask\n-r more.txt\n", "more.txt": "gunicorn\n"}, False),
        ({"requirements.txt": "flask\n-r more.txt\n", "more.txt": "-e .\n"}, True),
        ({"requirements.txt": "./lib\n"}, True),
        ({"requirements.txt": "mine @ file:lib\n"}, True),
        ({"requirements.txt": "vendor/mine\n"}, True),
        ({"requirements.txt": "mine[all]@vendor/mine\n"}, True),
        ({"requirements.txt": "vendor/mine-1-py3-none-any.whl ; python_version > '3'\n"}, True),
        ({"requirements.txt": "mine-1.tar.gz\n"}, True),
        ({"requirements.txt": "--find-links wheels/\nmine\n"}, True),
        ({"requirements.txt": "--find-links=./wheels\nmine\n"}, True),
        ({"requirements.txt": "-f https://example.com/wheels/\nflask>=2 # a/b\n--index-url https://a/b\n"}, False),
        ({"requirements.txt": "git+https://example.com/a/b@1\nc[d] == 1.0 \\\n    --hash=sha256:ab/c\n"}, False),
        ({"requirements.txt": "https://example.com/a/b-1-py3-none-any.whl\n"}, False),
        ({"requirements.txt": "mine @ https://example.com/x.whl\n"}, False),
        ({"pyproject.toml": '[project]\nname = "x"\n'}, False),
        ({"pyproject.toml": '[project]\nname = "x"\n[build-system]\n'}, True),
        ({"pyproject.toml": '[project]\nname = "x"\n[build-system]\n', "poetry.lock": ""}, False),
        ({"pyproject.toml": "[build-system]\n", "uv.lock": ""}, True),
        ({"pyproject.toml": "", "uv.lock": 'source = { editable = "lib" }'}, True),
        ({"pyproject.toml": "", "uv.lock": 'source = { virtual = "." }'}, False),
    ],
)
def test_what_may_change_while_its_files_stay(tmp_path: Path, files: dict[str, str], local: bool) -> None:
    assert app.local(app.Build(str(write_app(tmp_path, files)), "", "", "")) is local


BACKEND = """import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, about = "mine-1-py3-none-any.whl", "mine-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.write("mine.py")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{about}/RECORD", "")
    return name
"""
MINE = {
    "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    "[project]\nname = 'mine'\nversion = '1'\n",
    "backend.py": BACKEND,
    "mine.py": "WORD = 'one'\n",
}


async def test_a_branch_of_a_repository_is_looked_up_in_each_build(tmp_path: Path, kit: Path) -> None:
    """What it has is a layer like any other, as long as nothing is pushed to it."""
    root, cache = tmp_path / "site", tmp_path / "cache"
    repository(tmp_path / "mine", root, MINE)
    with serving(root, tmp_path) as site:
        files = {"requirements.txt": f"mine @ git+{site.url}/mine.git@main\n", "Procfile": "web: x\n"}
        keys = []
        for number, word in enumerate(["one", "one", "two"]):
            if word == "two":
                repository(tmp_path / "mine", root, {"mine.py": "WORD = 'two'\n"})
            done = await build(write_app(tmp_path / f"app{number}", files), kit, cache, given=site.trust)
            assert done.code == 0, done.text
            (module,) = done.app.glob(".venv/lib/python3*/site-packages/mine.py")
            assert module.read_text() == f"WORD = '{word}'\n"
            keys.append(done.result["layers"])
        assert (keys[0] == keys[1], keys[1] == keys[2], len(keys[2])) == (True, False, 1)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("git+https://example.com/a/b.git@main", [("https://example.com/a/b.git", "main")]),
        ("x @ git+https://me:p@example.com/b@v1#egg=x ; python_version > '3'", [("https://me:p@example.com/b", "v1")]),
        ("-e git+ssh://git@example.com/b.git#egg=b", [("ssh://git@example.com/b.git", "HEAD")]),
        (f"git+https://example.com/b@{'a' * 40}", []),
        ("https://example.com/b@main.tar.gz", []),
        ('dependencies = ["b @ git+https://example.com/b@x/y", "c"]', [("https://example.com/b", "x/y")]),
    ],
)
def test_which_repositories_are_looked_up(
    line: str, found: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_commit", lambda address, ref: "c")
    assert moving.commits(f"flask\n{line}\n") == [f"{address} {ref} c" for address, ref in found]


async def test_a_repository_that_does_not_answer_makes_no_layer(tmp_path: Path, kit: Path) -> None:
    """And the build fails as whoever installs it says."""
    files = {"requirements.txt": "mine @ git+https://localhost:1/mine.git@main\n", "Procfile": "web: x\n"}
    done = await build(write_app(tmp_path / "app", files), kit, tmp_path / "cache")
    assert done.code == 1
    assert "uv pip install ended with code" in done.last

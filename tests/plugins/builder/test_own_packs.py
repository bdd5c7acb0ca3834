"""flynn's own buildpacks: what a build does with them by their `pack.txt`, their programs do as well."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from flynn.plugins.builder.brick import OWN
from flynn.plugins.builder.inside.buildpack import Buildpack, OwnPack, known
from tests.harness import ended
from tests.plugins.builder.building import PATH, build, write_app
from tests.plugins.builder.test_buildpacks import load_pack

FILES = sorted(
    {file for pack in OWN for file in (pack / "pack.txt").read_text().splitlines()[1].split()} | {"main.c", "x/a"}
)
ENV = {"PATH": PATH}

python_app, ruby_app, lib = load_pack("python", "python_app"), load_pack("ruby", "ruby_app"), load_pack("lib", "pack")


@pytest.mark.parametrize("pack", [pack.name for pack in OWN])
def test_the_program_detects_what_the_build_does(pack: str, tmp_path: Path, kit: Path) -> None:
    own = known(str(kit / "buildpacks"), pack)
    assert isinstance(own, OwnPack)
    program = Buildpack(own.path, pack)
    found = set()
    for number, file in enumerate(FILES):
        app = str(write_app(tmp_path / str(number), {file: ""}))
        assert own.detect(app, ENV) == program.detect(app, ENV)
        found.add(own.detect(app, ENV))
    assert len(found) == 2
    os.makedirs(tmp_path / "folder" / own.files[0])
    assert own.detect(str(tmp_path / "folder"), ENV) == program.detect(str(tmp_path / "folder"), ENV) == ""


def test_the_programs_of_one_come_to_the_same(tmp_path: Path, kit: Path) -> None:
    page = {"public/index.html": "x"}
    sources = [write_app(tmp_path / name, page) for name in ("own", "program")]
    own = known(str(kit / "buildpacks"), "static").copied(str(tmp_path / "pack"))
    program = Buildpack(str(kit / "buildpacks" / "static"), "static").copied(str(tmp_path / "copy"))
    for name in ("cache", "config"):
        (tmp_path / name).mkdir()
    for pack, source in zip((own, program), sources, strict=True):
        env = {**os.environ, "PATH": PATH, "TOOLS_DIR": str(kit)}
        pack.compile(str(source), str(tmp_path / "cache"), str(tmp_path / "config"), env)
        told = pack.release(str(source), env)
        assert told == {"default_process_types": {"web": "python3 .static/server.py public"}}
    files = [sorted(str(path.relative_to(source)) for path in source.rglob("*")) for source in sources]
    assert files[0] == files[1]
    assert ".static/server.py" in files[0]


async def test_a_python_that_another_one_has_brought_is_heeded(tmp_path: Path, kit: Path) -> None:
    """Then it is run as a program, by the Python that is found."""
    seen = tmp_path / "seen"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(f'#!/bin/sh\necho "$@" >>{seen}\nPATH="{PATH}" exec python3 "$@"\n')
    (tmp_path / "bin" / "python3").chmod(0o755)
    tools = tmp_path / "tools"
    shutil.copytree(kit, tools)
    export = f'#!/bin/sh\necho \'export PATH="{tmp_path}/bin:$PATH"\' >"${{0%/*}}/../export"\n'
    write_app(tools / "buildpacks" / "mine", {"bin/detect": "#!/bin/sh\necho Mine", "bin/compile": export})
    (tools / "buildpacks" / "order").write_text("mine\nprocfile\n")
    app = write_app(tmp_path / "app", {"Procfile": "web: x\n", ".buildpacks": "mine\nprocfile\n"})
    built = await build(app, tools, tmp_path / "cache")
    assert built.code == 0, built.text
    assert seen.read_text().startswith("-B -S -m buildpacks.procfile.procfile_app")
    assert "       Nothing to build: the files are taken as they are" in built.text


GUNICORN, UVICORN = {".venv/bin/gunicorn": ""}, {".venv/bin/uvicorn": ""}


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({**GUNICORN, "app.py": "import x\napp = x\n"}, "gunicorn app:app --bind 0.0.0.0:$PORT"),
        ({**GUNICORN, "main.py": "application=1\n"}, "gunicorn main:application --bind 0.0.0.0:$PORT"),
        ({**GUNICORN, "manage.py": "", "b/wsgi.py": ""}, "gunicorn b.wsgi --bind 0.0.0.0:$PORT"),
        ({**GUNICORN, "b/wsgi.py": ""}, ""),
        ({**GUNICORN, "app.py": "  app = 1\n"}, ""),
        ({"app.py": "app = 1\n"}, ""),
        ({**UVICORN, "app.py": "app = 1\n"}, "uvicorn app:app --host 0.0.0.0 --port $PORT"),
        ({**GUNICORN, **UVICORN, "main.py": "app = 1\n"}, "gunicorn main:app --bind 0.0.0.0:$PORT"),
    ],
)
def test_how_python_starts_without_a_procfile(files: dict[str, str], command: str, tmp_path: Path) -> None:
    assert python_app.guess(lib.Build(str(write_app(tmp_path, files)), "", "", "")) == command


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"config/puma.rb": ""}, "bundle exec puma -C config/puma.rb -b tcp://0.0.0.0:$PORT"),
        ({"bin/rails": ""}, "bundle exec rails server -b 0.0.0.0 -p $PORT"),
        ({"config.ru": ""}, "bundle exec rackup config.ru --host 0.0.0.0 --port $PORT"),
        ({"other.rb": ""}, ""),
    ],
)
def test_how_ruby_starts_without_a_procfile(files: dict[str, str], command: str, tmp_path: Path) -> None:
    lock = "GEM\n  specs:\n    puma (6.4)\n    rack (3.1)\n    railties (7.1.1)\n"
    app = write_app(tmp_path / "with", {**files, "Gemfile.lock": lock})
    assert ruby_app.guess(lib.Build(str(app), "", "", "")) == command
    none = write_app(tmp_path / "without", {**files, "Gemfile.lock": "GEM\n  specs:\n    other (1)\n"})
    assert ruby_app.guess(lib.Build(str(none), "", "", "")) == ""


async def test_a_fork_that_is_late_ends_with_all_it_has_started(tmp_path: Path, kit: Path) -> None:
    """Also where it is flynn's own Python that waits."""
    hook = "#!/bin/sh\ntrap '' TERM\n(sleep 60; touch late) &\necho $! >pid\nwait\n"
    app = write_app(tmp_path / "app", {"requirements.txt": "", "Procfile": "web: x\n", "bin/pre_compile": hook})
    built = await build(app, kit, tmp_path / "cache", timeout=2)
    assert (built.code, built.last) == (1, " !     build took over 2 s")
    async with asyncio.timeout(10):
        while not ended(int((app / "pid").read_text())):
            await asyncio.sleep(0.05)

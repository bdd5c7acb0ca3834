"""The tools layer: the same each time, packed anew only when something changed."""

from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.builder import tools
from flynn.plugins.builder.brick import OWN
from tests.plugins.builder.building import write_app


def a_buildpack(folder: Path) -> Path:
    return write_app(folder, {"bin/detect": "exit 0", "bin/compile": "exit 0"})


def test_packed_once_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    path = tools.prepare(tmp_path / "a", OWN)
    assert path.read_bytes() == tools.prepare(tmp_path / "b", OWN).read_bytes()
    before = path.stat().st_mtime_ns
    assert tools.prepare(tmp_path / "a", OWN) == path
    assert path.stat().st_mtime_ns == before


def test_packed_anew_when_a_buildpack_changes(tmp_path: Path) -> None:
    pack = a_buildpack(tmp_path / "mine")
    first = tools.prepare(tmp_path, [pack])
    (pack / "bin" / "compile").write_text("exit 1 # changed")
    second = tools.prepare(tmp_path, [pack])
    assert first != second
    assert not first.exists()


def test_the_first_of_two_buildpacks_with_one_name_counts(tmp_path: Path) -> None:
    mine = a_buildpack(tmp_path / "python")
    files = tools.layout([mine, *OWN])
    assert files["buildpacks/python/bin/detect"] == mine / "bin" / "detect"
    assert files["buildpacks/order"] == b"python\nruby\ngo\njava\nphp\nnodejs\nstatic\nprocfile\n"


def test_what_is_no_buildpack_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="is no buildpack: it has no bin/detect"):
        tools.layout([tmp_path])


def test_a_buildpack_has_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be called lib, which is flynn's own name; rename the directory"):
        tools.layout([a_buildpack(tmp_path / "lib")])


def test_what_is_no_python_of_now_is_packed_as_it_is(tmp_path: Path) -> None:
    pack = write_app(a_buildpack(tmp_path / "mine"), {"template.py": "print {{ this }}", "good.py": "A = 1"})
    files = tools.layout([pack])
    assert "buildpacks/mine/template.py" in files
    made = tools.compiled({name: path for name, path in files.items() if "mine/" in name})
    assert [name.rpartition("/")[2].partition(".")[0] for name in made] == ["good"]

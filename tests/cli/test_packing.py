"""What a deploy sends."""

import os
import socket
import tarfile
from pathlib import Path

import pytest

from flynn.cli.packing import pack, scan, summary
from flynn.core.errors import Invalid, NotFound


def tree(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def sent(top: Path) -> list[str]:
    return [entry.name for entry in scan(top) if not entry.path.is_dir()]


def test_ignore_files_are_obeyed_as_git_does(tmp_path: Path) -> None:
    names = [
        "app.py", "a.log", "keep.log", "build/x", "sub/build", "sub/a.tmp", "sub/deep/a.tmp", "sub/b.log", "docs/a",
        "vendor/x/y", "vendor/kept", ".git/HEAD", "node_modules/m/index.js", "tests/test_a.py", ".env",
    ]  # fmt: skip
    ignores = {
        ".gitignore": "*.log\n!keep.log\n/build\nnode_modules/\nvendor/**\n!vendor/kept\n# a comment\n",
        "sub/.gitignore": "*.tmp\n!b.log\n!deep/a.tmp\n",
        ".slugignore": "tests\n/docs\n",
    }
    tree(tmp_path, dict.fromkeys(names, "") | ignores)
    assert sent(tmp_path) == [
        ".env", ".gitignore", ".slugignore", "app.py", "keep.log", "sub/.gitignore", "sub/b.log", "sub/build",
        "sub/deep/a.tmp", "vendor/kept",
    ]  # fmt: skip


def test_the_tar_keeps_modes_and_links_and_is_the_same_again(tmp_path: Path) -> None:
    tree(tmp_path, {"bin/run": "#!/bin/sh\n", "data": "x" * 100_000})
    (tmp_path / "bin/run").chmod(0o755)
    (tmp_path / "bin/current").symlink_to("../data")
    (tmp_path / "empty").mkdir()
    first, length = pack(scan(tmp_path))
    second, _ = pack(scan(tmp_path))
    with first, second:
        assert first.read() == second.read()
        assert first.tell() == length < 2000
        first.seek(0)
        with tarfile.open(fileobj=first, mode="r:gz") as tar:
            assert tar.getnames() == ["bin", "bin/current", "bin/run", "data", "empty"]
            assert tar.getmember("bin/run").mode == 0o755
            assert tar.getmember("bin/current").linkname == "../data"
            assert {(member.uid, member.uname) for member in tar} == {(0, "")}


def test_names_that_are_no_text_are_sent(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(raw)).write_text("x")
    file, _ = pack(scan(tmp_path))
    with file, tarfile.open(fileobj=file, mode="r:gz") as tar:
        assert tar.getnames() == ["caf\udce9"]


@pytest.mark.parametrize(
    ("link", "target"), [("a", "/etc/passwd"), ("a", ".."), ("sub/a", "../../x"), ("a", "b/../..")]
)
def test_a_link_that_leads_out_is_refused(tmp_path: Path, link: str, target: str) -> None:
    tree(tmp_path, {"sub/x": ""})
    (tmp_path / link).symlink_to(target)
    with pytest.raises(Invalid, match="leads out of the directory"):
        scan(tmp_path)


def test_what_is_no_file_is_refused_unless_ignored(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="pipe is a named pipe"):
        scan(tmp_path)
    tree(tmp_path, {".gitignore": "pipe\ns\n"})
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        assert sent(tmp_path) == [".gitignore"]


def test_a_file_that_shrinks_meanwhile_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        scan(tmp_path / "none")
    tree(tmp_path, {"a": "x"})
    entries = scan(tmp_path)
    assert summary(entries) == "1 file, 1 B"
    (tmp_path / "a").unlink()
    with pytest.raises(Invalid, match="a cannot be read"):
        pack(entries)

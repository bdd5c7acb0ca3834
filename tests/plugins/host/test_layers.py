"""Unpacked layers: which of them are believed when a daemon begins."""

import os
from pathlib import Path

from flynn.plugins.host.backends.identity import boot_id
from flynn.plugins.host.layers import _install, prepare
from tests.plugins.host.rig import tar


def unpacked(root: Path, name: str, **files: str) -> Path:
    packed = root / f"{name}.tgz"
    packed.write_bytes(tar(**files))
    _install(packed, root / f"{name}.part", root / name, 0)
    packed.unlink()
    return root / name


def test_what_a_power_cut_left_without_its_bytes_is_not_believed(tmp_path: Path) -> None:
    good, cut = (unpacked(tmp_path, name, app="x" * 1000, more="y") for name in ("good", "cut"))
    os.link(good / "tree" / "app", good / "tree" / "again")
    os.symlink("app", good / "tree" / "link")
    os.utime(good / "size", (7, 7))
    (cut / "tree" / "app").write_text("")
    for name in ("half.part", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "size").write_text("")
    prepare(tmp_path, boot_id())
    assert {path.name for path in tmp_path.iterdir()} == {"good", "cut"}  # This machine has not been off since.
    prepare(tmp_path, "another")
    assert [path.name for path in tmp_path.iterdir()] == ["good"]
    assert ((good / "size").read_text(), (good / "size").stat().st_mtime) == ("1001 another", 7)

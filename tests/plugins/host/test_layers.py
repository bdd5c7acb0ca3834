"""Unpacked layers: which of them are believed when a daemon begins, and where they come from."""

import asyncio
import os
from pathlib import Path

import pytest

from flynn.core.errors import NotFound
from flynn.plugins.host.backends.identity import boot_id
from flynn.plugins.host.layers import Layers, _install, prepare
from tests.plugins.host.rig import open_rig, tar


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


async def test_what_was_made_here_and_is_no_good_is_fetched(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data") as rig, asyncio.TaskGroup() as tasks:
        (root := tmp_path / "layers").mkdir()
        good, bad = rig.shelf.add(tar(file="good")), tmp_path / "bad"
        bad.write_bytes(b"it was written to")
        layers = Layers(rig.node.context("host"), root, 1 << 30, set, tasks)
        layers.offer(good, bad)
        assert ((await layers.get(good)) / "file").read_text() == "good"
        assert rig.shelf.asked[good] == 1
        layers.offer(lost := "0" * 64, bad)
        with pytest.raises(NotFound):
            await layers.get(lost)

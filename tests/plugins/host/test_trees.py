"""Trees that nobody vouches for are gone through and removed, whatever their makers did."""

import os
from pathlib import Path

import pytest

from flynn.plugins.host.trees import DEEP, own, remove_tree, walk


def dig(top: Path, levels: int, name: str = "d") -> None:
    """A tree of so many levels; made by steps, as its path may be too long for the kernel."""
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=at)
        inner = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_it_removes_what_is_deeper_than_a_path_can_say(tmp_path: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    dig(tmp_path / "deep", 1200, "dddd")
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_it_removes_several_deep_branches_and_what_is_closed(tmp_path: Path) -> None:
    top = tmp_path / "wide"
    top.mkdir()
    for name in ("a", "b"):
        dig(top / name, 2 * DEEP + 1)
    (top / "closed" / "inner").mkdir(parents=True)
    (top / "closed" / "inner" / "file").touch()
    (top / "closed" / "inner").chmod(0o500)
    (top / "closed").chmod(0)
    remove_tree(top)
    assert list(tmp_path.iterdir()) == []


def test_it_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o755)
    (kept / "file").touch()
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(kept)
    (tmp_path / "other").symlink_to(kept)
    remove_tree(tmp_path / "top")
    remove_tree(tmp_path / "other")
    remove_tree(tmp_path / "missing")
    assert (kept / "file").exists()
    assert kept.stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "top").exists()


def test_it_walks_further_than_a_stack_would_go(tmp_path: Path) -> None:
    dig(tmp_path / "deep", 1200)
    (tmp_path / "deep" / "link").symlink_to("/usr")
    found = list(walk(tmp_path / "deep"))
    assert found[0] == (str(tmp_path / "deep"), ["link"])
    assert found[-1][1] == ["file"]
    assert len(found) == 1201
    remove_tree(tmp_path / "deep")
    assert list(walk(tmp_path / "deep")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_of_a_tree_is_given_however_deep_it_is(tmp_path: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    top, levels = tmp_path / "deep", 1200
    dig(top, levels, "dddd")
    for name in ("a", "b"):
        (top / name / "inner").mkdir(parents=True)
        (top / name / "inner" / "file").touch()
    own(top, 61_000, 61_001)
    found = [os.lstat(path).st_uid for path in (top, top / "a", top / "b" / "inner", top / "b" / "inner" / "file")]
    at = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        inner = os.open("dddd", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
        found.append(os.fstat(at).st_uid)
    found.append(os.stat("file", dir_fd=at).st_uid)
    os.close(at)
    assert set(found) == {61_000}
    assert len(os.listdir("/proc/self/fd")) == open_before
    remove_tree(top)

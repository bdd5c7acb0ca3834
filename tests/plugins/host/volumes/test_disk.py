"""A volume's directory: made once, never silently anew, and whose it is."""

import os
import resource
import shutil
from pathlib import Path

import pytest

from flynn.core.errors import Invalid
from flynn.core.model import Mount
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.volumes.disk import claim, marked, remove, scratch, tidy

DATA = Mount(path="/data", volume="data", id="1")


def filled(root: Path) -> Path:
    """A volume with something in it."""
    data = claim(root, "hello", DATA, stored=False)
    (data / "file").write_text("kept")
    return data


def test_it_is_made_once_and_found_again(tmp_path: Path) -> None:
    data = filled(tmp_path / "volumes")
    assert data == tmp_path / "volumes" / "hello" / "data" / "data"
    assert [path.stat().st_mode & 0o777 for path in (data.parent, data)] == [0o700, 0o755]
    for stored in (False, True):
        assert (claim(tmp_path / "volumes", "hello", DATA, stored) / "file").read_text() == "kept"


def test_data_that_is_missing_is_not_begun_anew(tmp_path: Path) -> None:
    data = filled(tmp_path)
    said = f"cannot have its volume data: the data is missing, {data} was there and is no more; mount its disk or bring"
    shutil.rmtree(data)
    with pytest.raises(NotStarted, match=said):
        claim(tmp_path, "hello", DATA, stored=False)
    shutil.rmtree(tmp_path / "hello")
    with pytest.raises(NotStarted, match=said):
        claim(tmp_path, "hello", DATA, stored=True)
    data.parent.mkdir(parents=True)  # The mount point of a disk that is not mounted.
    with pytest.raises(NotStarted, match=said):
        claim(tmp_path, "hello", DATA, stored=True)
    assert not data.exists()


def test_data_that_is_brought_back_is_taken(tmp_path: Path) -> None:
    data = filled(tmp_path / "a")
    shutil.copytree(tmp_path / "a" / "hello", tmp_path / "b" / "hello")
    assert (claim(tmp_path / "b", "hello", DATA, stored=True) / "file").exists()
    (tmp_path / "c" / "hello" / "data").mkdir(parents=True)
    shutil.copytree(data, tmp_path / "c" / "hello" / "data" / "data")
    assert (claim(tmp_path / "c", "hello", DATA, stored=True) / "file").exists()
    assert marked(tmp_path / "c" / "hello" / "data") == "1"


def test_data_may_be_on_a_disk_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "v" / "hello" / "data").mkdir(parents=True)
    (tmp_path / "v" / "hello" / "data" / "data").symlink_to(tmp_path / "disk")
    assert claim(tmp_path / "v", "hello", DATA, stored=False) == tmp_path / "disk"


def test_the_data_of_another_volume_is_shown_to_nobody(tmp_path: Path) -> None:
    data = filled(tmp_path)
    other = Mount(path="/data", volume="data", id="2")
    with pytest.raises(NotStarted, match="has another's data"):
        claim(tmp_path, "hello", other, stored=False)
    assert remove(tmp_path, "hello", "data", "2") == ""
    assert (data / "file").exists()


@pytest.mark.parametrize(("app", "name"), [("..", "data"), ("hello", ".."), ("hello", "a/b"), ("", "data"), ("a", "A")])
def test_no_name_leads_out(tmp_path: Path, app: str, name: str) -> None:
    with pytest.raises(Invalid):
        claim(tmp_path / "v", app, Mount(path="/data", volume=name, id="1"), stored=False)
    with pytest.raises(Invalid):
        remove(tmp_path / "v", app, name, "1")


def test_a_disk_that_takes_nothing_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("no directory")
    with pytest.raises(NotStarted, match=r"cannot have its volume data: .*: Not a directory"):
        claim(tmp_path / "v", "hello", DATA, stored=False)
    with pytest.raises(NotStarted, match="cannot have its scratch directory"):
        scratch(tmp_path / "v", "job-1", "data")


def test_a_mark_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    data = filled(tmp_path)
    (data.parent / "volume.json").unlink()
    (data.parent / "volume.json").mkdir()
    with pytest.raises(NotStarted, match="Is a directory"):
        claim(tmp_path, "hello", DATA, stored=True)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            claim(tmp_path, "hello", DATA, stored=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_it_is_removed_whole(tmp_path: Path) -> None:
    data = filled(tmp_path / "v")
    (data / "closed").mkdir()
    (data / "closed" / "file").write_text("x")
    (data / "closed").chmod(0)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("x")
    (data / "link").symlink_to(tmp_path / "outside")
    assert remove(tmp_path / "v", "hello", "data", "1") == ""
    assert os.listdir(tmp_path / "v") == []
    assert (tmp_path / "outside" / "file").exists()
    assert remove(tmp_path / "v", "hello", "data", "1") == ""


def test_what_was_left_half_done_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "v" / ".gone-hello.data" / "data").mkdir(parents=True)
    filled(tmp_path / "v")
    for job in ("alive", "dead"):
        (scratch(tmp_path / "s", job, "work") / "file").write_text("x")
    tidy(tmp_path / "v", tmp_path / "s", {"alive"})
    assert os.listdir(tmp_path / "v") == ["hello"]
    assert os.listdir(tmp_path / "s") == ["alive"]

"""Directories of the machine: those that are listed, where links really lead, and never the daemon's own."""

from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.volumes.permit import checked, resolve


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """`photos` and `music` with a directory `a` each, a `secret`, a data directory, and links between them."""
    for name in ("photos/a", "photos2", "music/a", "secret/a", "flynn/data/host"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "photos" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "photos" / "up").symlink_to("..")
    (tmp_path / "photos" / "round").symlink_to("a")
    (tmp_path / "photos" / "loop").symlink_to("loop")
    (tmp_path / "photos" / "file").write_text("x")
    (tmp_path / "pictures").symlink_to(tmp_path / "photos")
    return tmp_path


def ask(machine: Path, name: str, *permitted: str, read_only: bool = False) -> Path:
    listed = [f"{machine}/{text}" for text in permitted]
    return resolve(f"{machine}/{name}", read_only, listed, machine / "flynn" / "data")


@pytest.mark.parametrize(
    ("name", "permitted", "found"),
    [
        ("photos", "photos", "photos"), ("photos/a", "photos", "photos/a"), ("photos/round", "photos", "photos/a"),
        ("pictures/a", "photos", "photos/a"), ("photos/a", "pictures", "photos/a"), ("photos/out", "secret", "secret"),
    ],
)  # fmt: skip
def test_what_is_given(machine: Path, name: str, permitted: str, found: str) -> None:
    assert ask(machine, name, permitted) == machine / found


@pytest.mark.parametrize(
    ("name", "permitted"),
    [
        ("photos2", "photos"), ("secret", "photos"), ("photos/out", "photos"), ("photos/out/a", "photos"),
        ("photos/up", "photos"), ("photos/../secret", "photos"), ("music", "music:ro"), ("flynn/data", "flynn"),
        ("flynn", "flynn"), ("flynn/data/host", "flynn/data/host"), ("photos", "photos/a"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_setting(machine: Path, name: str, permitted: str) -> None:
    with pytest.raises(NotStarted, match=r"here: host\.mounts in flynn\.toml lists what jobs may"):
        ask(machine, name, permitted)


def test_where_a_link_leads_is_told(machine: Path) -> None:
    with pytest.raises(NotStarted, match=f"{machine}/photos/out, which leads to {machine}/secret, to write to here"):
        ask(machine, "photos/out", "photos")


def test_what_may_only_be_read(machine: Path) -> None:
    assert ask(machine, "music/a", "music:ro", read_only=True) == machine / "music" / "a"
    with pytest.raises(NotStarted):
        ask(machine, "music/a", "music:ro")


@pytest.mark.parametrize("name", ["nothing", "photos/loop", "photos/file"])
def test_what_is_no_directory(machine: Path, name: str) -> None:
    with pytest.raises(NotStarted, match=r"^cannot have"):
        ask(machine, name, "photos", "nothing")


@pytest.mark.parametrize(
    "text", ["photos", "/srv/../etc", "/srv//x", "/srv:rx", "", "/", "/srv", "/srv/flynn/data/host"]
)
def test_settings_that_are_refused(text: str) -> None:
    with pytest.raises(StartError, match=r"^host\.mounts: "):
        checked([text], Path("/srv/flynn/data"))


def test_settings_that_are_taken() -> None:
    listed = ("/srv/photos", "/srv/music:ro", "/mnt/x/:rw")
    assert checked(listed, Path("/srv/flynn/data")) == listed

"""The /etc of sandboxes: a copy of what may be seen of the machine's, kept as it is there."""

import os
import socket
from pathlib import Path

import pytest

from flynn.plugins.host.sandbox import etc as etc_of
from flynn.plugins.host.sandbox.etc import FRESH, Etc, write_etc
from flynn.plugins.host.sandbox.rootfs import SECRET


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """An /etc with some of everything."""
    etc = tmp_path / "machine"
    (etc / "ssl" / "certs").mkdir(parents=True)
    (etc / "ssl" / "private").mkdir()
    (etc / "ssl" / "private" / "key").write_text("secret")
    (etc / "ssl" / "certs" / "a.pem").write_text("a")
    (etc / "ssl" / "certs" / "b.pem").symlink_to("a.pem")
    (etc / "shadow").write_text("secret")
    (tmp_path / "run").write_text("nameserver 1.1.1.1\n")
    (etc / "resolv.conf").symlink_to(tmp_path / "run")
    return etc


def test_only_what_may_be_seen_is_copied(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etc_of, "SECRET", (str(machine / "ssl" / "private"),))
    (machine / "services").write_text("http 80/tcp\n")
    (machine / "protocols").write_text("secret")
    (machine / "protocols").chmod(0o640)
    os.mkfifo(machine / "ssl" / "fifo")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(machine / "ssl" / "door"))
        write_etc(tmp_path / "etc", machine)
    seen = {str(path.relative_to(tmp_path / "etc")) for path in (tmp_path / "etc").rglob("*")}
    assert seen == {
        "passwd", "group", "nsswitch.conf", "hosts", "services", "resolv.conf", "ssl", "ssl/certs", "ssl/certs/a.pem",
        "ssl/certs/b.pem",
    }  # fmt: skip
    assert (tmp_path / "etc" / "resolv.conf").read_text() == "nameserver 1.1.1.1\n"
    assert os.readlink(tmp_path / "etc" / "ssl" / "certs" / "b.pem") == "a.pem"
    assert os.readlink(tmp_path / "etc" / "hosts") == "../var/hosts"


def test_where_packages_come_from_is_seen_and_no_password_of_that(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As buildpacks read it: also a file that newer systems do not have."""
    secret = [path.replace("/etc", str(machine), 1) for path in SECRET]
    monkeypatch.setattr(etc_of, "SECRET", secret)
    for name in ("sources.list.d/debian.sources", "auth.conf", "auth.conf.d/mine.conf"):
        (machine / "apt" / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / "apt" / name).write_text(name)
    apt = tmp_path / "etc" / "apt"
    for _ in range(2):
        write_etc(tmp_path / "etc", machine)
        assert {path.name: path.read_text() for path in apt.rglob("*") if path.is_file()} == {
            "sources.list": "", "debian.sources": "sources.list.d/debian.sources",
        }  # fmt: skip
    (machine / "apt" / "sources.list").write_text("deb x y z\n")
    write_etc(tmp_path / "etc", machine)
    assert (apt / "sources.list").read_text() == "deb x y z\n"


def test_what_changes_is_copied_again_and_what_goes_goes(machine: Path, tmp_path: Path) -> None:
    etc, certs = tmp_path / "etc", machine / "ssl" / "certs"
    write_etc(etc, machine)
    before = (etc / "ssl" / "certs" / "a.pem").stat().st_ino
    write_etc(etc, machine)
    assert (etc / "ssl" / "certs" / "a.pem").stat().st_ino == before
    (tmp_path / "run").write_text("nameserver 9.9.9.9\n")
    os.utime(tmp_path / "run", (1, 1))
    (certs / "b.pem").unlink()
    (certs / "b.pem").write_text("now a file")
    (certs / "a.pem").unlink()
    (certs / "a.pem").mkdir()
    write_etc(etc, machine)
    assert (etc / "resolv.conf").read_text() == "nameserver 9.9.9.9\n"
    assert (etc / "ssl" / "certs" / "b.pem").read_text() == "now a file"
    assert list((etc / "ssl" / "certs" / "a.pem").iterdir()) == []
    (certs / "a.pem").rmdir()
    (certs / "b.pem").unlink()
    (machine / "resolv.conf").unlink()
    (machine / "ssl" / "private" / "key").unlink()
    write_etc(etc, machine)
    assert list((etc / "ssl" / "certs").iterdir()) == []
    assert not (etc / "resolv.conf").exists()
    assert (etc / "passwd").read_text().startswith("root:")


def test_it_is_looked_at_once_a_moment_and_copied_only_when_something_is_new(machine: Path, tmp_path: Path) -> None:
    etc = Etc(tmp_path / "etc", machine)
    etc.refresh(100.0)
    copied = tmp_path / "etc" / "ssl" / "certs" / "a.pem"
    assert copied.read_text() == "a"
    copied.unlink()
    etc.refresh(100.0 + FRESH)
    assert not copied.exists()
    (machine / "ssl" / "certs" / "c.pem").symlink_to("a.pem")
    etc.refresh(100.0 + 1.5 * FRESH)
    assert not copied.exists()
    etc.refresh(100.0 + 2 * FRESH)
    assert copied.read_text() == "a"
    for change in (
        lambda: (machine / "ssl" / "certs" / "a.pem").write_text("longer"),
        lambda: (machine / "services").write_text("new"),
        lambda: (machine / "services").unlink(),
    ):
        copied.unlink()
        change()
        etc.refresh(etc._looked + FRESH)
        assert copied.exists()


def test_a_copy_that_cannot_be_brought_up_to_date_is_used_as_it_is(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Etc(tmp_path / "file" / "etc", machine).refresh(100.0)
    etc = Etc(tmp_path / "etc", machine)
    etc.refresh(100.0)
    etc.dir = tmp_path / "file"
    (machine / "services").write_text("new")
    etc.refresh(100.0 + FRESH)

"""Archives that nobody vouches for."""

import gzip
import io
import lzma
import os
import sys
import tarfile
from pathlib import Path

import pytest

from flynn.core.errors import Invalid, TooLarge
from flynn.plugins.host.layers import Layer, surplus
from flynn.plugins.host.unpack import unpack

KINDS = {"sym": tarfile.SYMTYPE, "link": tarfile.LNKTYPE, "char": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE}


def pack(path: Path, *entries: tuple[str, str, str]) -> Path:
    """A tar of entries (kind, name, content or target)."""
    with tarfile.open(path, "w:gz") as tar:
        for kind, name, text in entries:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime, entry.uid = 0o4777, 1000, 4242
            if kind == "file":
                entry.size = len(text)
            elif kind == "dir":
                entry.type = tarfile.DIRTYPE
            else:
                entry.type, entry.linkname = KINDS[kind], text
            tar.addfile(entry, io.BytesIO(text.encode()) if kind == "file" else None)
    return path


def test_what_an_app_holds(tmp_path: Path) -> None:
    python = f"{sys.base_prefix}/bin/python3"
    packed = pack(
        tmp_path / "a.tgz",
        ("dir", "bin", ""),
        ("file", "bin/run", "#!"),
        ("file", "./lib/deep/file", "text"),
        ("link", "lib/same", "bin/run"),
        ("sym", "lib/run", "../bin/run"),
        ("sym", "lib/dir", "deep"),
        ("sym", "bin/python", python),
        ("sym", "tools", "/usr/bin"),
        ("file", "twice", "first"),
        ("file", "twice", "second"),
    )
    assert unpack(packed, tmp_path / "t") == 17
    tree = tmp_path / "t"
    assert (tree / "lib/run").read_text() == "#!"
    assert (tree / "lib/same").samefile(tree / "bin/run")
    assert (tree / "lib/dir/file").read_text() == "text"
    assert os.readlink(tree / "bin/python") == python
    assert (tree / "twice").read_text() == "second"
    info = (tree / "bin/run").stat()
    assert (info.st_mode & 0o7777, info.st_mtime, info.st_uid) == (0o755, 1000, os.getuid())


@pytest.mark.parametrize(
    "entries",
    [
        [("file", "../evil", "x")],
        [("file", "a/../../evil", "x")],
        [("file", "/evil", "x")],
        [("dir", "..", "")],
        [("sym", "a", "../evil")],
        [("sym", "a", "/etc/passwd")],
        [("sym", "a", "/usr/../etc/passwd")],
        [("sym", "../a", "b")],
        [("link", "a", "../evil")],
        [("link", "a", "/etc/passwd")],
        [("sym", "s", "f"), ("file", "f", "x"), ("link", "a", "s")],
        [("char", "a", "")],
        [("fifo", "a", "")],
        [("sym", "d", "."), ("sym", "d/x", "f")],
        [("dir", "d", ""), ("sym", "d", "f")],
        [("sym", ".", "f")],
        [("sym", "./", "f")],
        [("file", ".", "x")],
        [("file", "d/" * 101 + "f", "x")],
        [("file", "d/" * 1500 + "f", "x")],
    ],
    ids=lambda entries: "+".join(f"{kind}:{name[:20]}>{text}" for kind, name, text in entries),
)
def test_what_no_app_holds(tmp_path: Path, entries: list[tuple[str, str, str]]) -> None:
    before = set(tmp_path.iterdir())
    packed = pack(tmp_path / "a.tgz", *entries)
    with pytest.raises(Invalid, match="archive"):
        unpack(packed, tmp_path / "t")
    assert set(tmp_path.iterdir()) - before <= {packed, tmp_path / "t"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """The link is made last: what seems to lie below it makes its directory first, and the link is refused."""
    packed = pack(tmp_path / "a.tgz", ("sym", "d", "/usr"), ("file", "d/evil", "x"))
    with pytest.raises(Invalid):
        unpack(packed, tmp_path / "t")
    assert not Path("/usr/evil").exists()


def test_limits(tmp_path: Path) -> None:
    packed = pack(tmp_path / "a.tgz", ("file", "a", "x" * 1000), ("file", "b", "y" * 1000))
    assert unpack(packed, tmp_path / "fits", size_limit=2000, entry_limit=2) == 2000
    with pytest.raises(TooLarge, match="1999 bytes"):
        unpack(packed, tmp_path / "large", size_limit=1999)
    with pytest.raises(TooLarge, match="1 entries"):
        unpack(packed, tmp_path / "many", entry_limit=1)


@pytest.mark.parametrize("field", [{"size": "-4096"}, {"mtime": "nan"}], ids=str)
def test_numbers_that_are_none(tmp_path: Path, field: dict[str, str]) -> None:
    """A size below zero would lead back to the entries before, again and again."""
    entry = tarfile.TarInfo("b")
    entry.pax_headers = field
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("a"))
        tar.addfile(entry)
    with pytest.raises(Invalid, match="archive"):
        unpack(tmp_path / "a.tgz", tmp_path / "t")


def header(kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


SPARSE = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
SPARSE[482] = 1  # it goes on in the next block
SPARSE[148:156] = b"%06o\0 " % (sum(SPARSE[:148]) + 8 * ord(" ") + sum(SPARSE[156:]))


@pytest.mark.parametrize(
    "data",
    [
        header(b"x", 1 << 40),
        header(b"g", 1 << 30),
        header(b"L", 1 << 30),
        bytes(SPARSE) + (bytes(504) + b"\1" * 8) * 3000,
    ],
    ids=["pax", "global", "long name", "sparse"],
)
def test_headers_without_end(tmp_path: Path, data: bytes) -> None:
    """Packed they are small; read, they would fill the memory."""
    (tmp_path / "a.tgz").write_bytes(gzip.compress(data + bytes(1 << 20)))
    with pytest.raises(TooLarge, match="headers"):
        unpack(tmp_path / "a.tgz", tmp_path / "t")


def test_headers_that_lead_to_headers(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header(b"x", 0) * 1500))
    with pytest.raises(Invalid, match="archive"):
        unpack(tmp_path / "a.tgz", tmp_path / "t")


@pytest.mark.parametrize(
    "data", [b"", b"no tar", b"\x1f\x8b\x08junk", lzma.compress(bytes(10240))], ids=["empty", "text", "gzip", "xz"]
)
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tgz").write_bytes(data)
    with pytest.raises(Invalid, match="archive"):
        unpack(tmp_path / "a.tgz", tmp_path / "t")


def test_an_archive_that_was_cut_off(tmp_path: Path) -> None:
    packed = pack(tmp_path / "a.tgz", ("file", "a", "x" * 100_000))
    packed.write_bytes(packed.read_bytes()[:-60])
    with pytest.raises(Invalid, match="archive"):
        unpack(packed, tmp_path / "t")


def test_surplus_layers_are_those_used_longest_ago() -> None:
    layers = [Layer("a", 10, 1.0), Layer("b", 10, 2.0), Layer("c", 10, 3.0)]
    assert surplus(layers, {}, 30) == []
    assert surplus(layers, {}, 29) == ["a"]
    assert surplus(layers, {"a"}, 15) == ["b", "c"]
    assert surplus(layers, {"a", "b", "c"}, 0) == []

"""The check of a source: what a developer may send, and every way in which an attacker may not."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from flynn.core.errors import Invalid
from flynn.plugins.builder import source

Entry = tuple[str, bytes, str]


def entry(name: str, type: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    return name, type, link


def packed(path: Path, *entries: Entry) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, type, link in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = type, link
            data = b"x" if type == tarfile.REGTYPE else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


DIR, SYM, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

REFUSED = {
    "up": ([entry("a/../../b")], "'a/../../b' names the path 'a/../../b'; `..` is not allowed"),
    "absolute": ([entry("/etc/passwd")], "'/etc/passwd' names the absolute path '/etc/passwd'; paths must be relative"),
    "fifo": ([entry("p", tarfile.FIFOTYPE)], "'p' is a fifo; a source has files, directories and links only"),
    "device": ([entry("d", tarfile.CHRTYPE)], "'d' is a device; a source has files, directories and links only"),
    "block": ([entry("d", tarfile.BLKTYPE)], "'d' is a device; a source has files, directories and links only"),
    "absolute link": ([entry("l", SYM, "/etc")], "the link 'l' leads out of the source, to '/etc'"),
    "link up": ([entry("d/l", SYM, "../../x")], "the link 'd/l' leads out of the source, to '../../x'"),
    "link by a link": (
        [entry("a/b/up", SYM, "../.."), entry("s", SYM, "a/b/up/../x")],
        "the link 's' leads out of the source, to 'a/b/up/../x'",
    ),
    "through a link": ([entry("l", SYM, "."), entry("l/f")], "'l' is a link and a directory at once"),
    "link over a directory": ([entry("l/f"), entry("l", SYM, ".")], "'l' is a link and a directory at once"),
    "hard link up": ([entry("h", HARD, "../x")], "'h' names the path '../x'; `..` is not allowed"),
    "hard link to a link": (
        [entry("a/l", SYM, ".."), entry("h", HARD, "a/l")],
        "'h' is a hard link to the symbolic link 'a/l'",
    ),
    "empty": ([], "the source is empty: there is nothing to build"),
    "empty too": ([entry(".", DIR), entry("./", DIR)], "the source is empty: there is nothing to build"),
    "undecodable": ([entry("../\udcff")], "'../\\udcff' names the path '../\\udcff'; `..` is not allowed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    entries, sentence = REFUSED[name]
    with pytest.raises(Invalid) as caught:
        source.check(packed(tmp_path / "a.tgz", *entries))
    assert str(caught.value) == sentence
    str(caught.value).encode()


def test_what_apps_are_made_of_is_taken(tmp_path: Path) -> None:
    entries = [entry("./", DIR), entry("./a", DIR), entry("./a/f"), entry("./..data"), entry("./a/l", SYM, "../..data")]
    entries += [entry("loop", SYM, "loop"), entry("nowhere", SYM, "a/gone"), entry("h", HARD, "a/f")]
    assert source.check(packed(tmp_path / "a.tgz", *entries)) == frozenset()


def test_what_is_no_tar(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (b"", b"hello", gzip.compress(b"hello" * 500), packed(tmp_path / "b", entry("f")).read_bytes()[:-9]):
        path.write_bytes(data)
        with pytest.raises(Invalid, match=r"gzip'd tar|is empty"):
            source.check(path)


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "ENTRIES", 3)
    source.check(packed(tmp_path / "a", *(entry(f"f{n}") for n in range(3))))
    with pytest.raises(Invalid, match="the source has over 3 entries"):
        source.check(packed(tmp_path / "b", *(entry(f"f{n}") for n in range(4))))


def zeros(path: Path, size: int, header: bytes = b"") -> Path:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, 0) as file:
        file.write(header)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


def test_a_bomb_is_noticed_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tarfile.TarInfo("big")
    info.size = 3 << 30
    with pytest.raises(Invalid, match=r"unpacks to over 2 GiB \(at 'big'\)"):
        source.check(zeros(tmp_path / "a", 1 << 20, info.tobuf()))
    monkeypatch.setattr(source, "UNPACKED", 4 << 20)
    small = packed(tmp_path / "b", entry("f")).read_bytes()
    (tmp_path / "c").write_bytes(small + zeros(tmp_path / "d", 8 << 20).read_bytes())
    with pytest.raises(Invalid, match="unpacks to over"):
        source.check(tmp_path / "c")


def test_a_header_cannot_fill_the_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(Invalid, match="has headers of more than 1048576 bytes"):
        source.check(zeros(tmp_path / "a", 4 << 20, info.tobuf()))


def test_nor_can_one_that_goes_on_and_on(tmp_path: Path) -> None:
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf())
    header[482] = 1  # It goes on in the next block, as does each of those.
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * ord(" ") + sum(header[156:]))
    (tmp_path / "a").write_bytes(gzip.compress(bytes(header) + (bytes(504) + b"\1" * 8) * 3000))
    with pytest.raises(Invalid, match="has headers of more than 1048576 bytes"):
        source.check(tmp_path / "a")
    info.type = tarfile.XHDTYPE
    (tmp_path / "b").write_bytes(gzip.compress(info.tobuf() * 1500))
    with pytest.raises(Invalid, match="not a whole gzip'd tar"):
        source.check(tmp_path / "b")


def test_names_at_the_top_that_tell_how_to_build_it(tmp_path: Path) -> None:
    def told(*entries: Entry) -> frozenset[str]:
        return source.check(packed(tmp_path / "source.tgz", *entries))

    assert told(entry("app.py"), entry("./Dockerfile"), entry(".buildpacks")) == {"Dockerfile", ".buildpacks"}
    assert told(entry("docker/Dockerfile"), entry("Dockerfile", tarfile.DIRTYPE)) == frozenset()
    assert told(entry("x"), entry("Dockerfile", tarfile.SYMTYPE, "x")) == frozenset()

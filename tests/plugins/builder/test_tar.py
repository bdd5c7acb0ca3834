"""The tar of a slug: what `tarfile` writes of the same entries, byte for byte."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.builder.inside.tar import FILE, FOLDER, LINK, Tar

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
FILES = st.tuples(PATHS, st.just(FILE), st.binary(max_size=2000), st.just(""))
OTHERS = st.tuples(PATHS, st.sampled_from((LINK, FOLDER)), st.just(b""), PATHS)
ENTRIES = st.lists(st.tuples(st.one_of(FILES, OTHERS), st.integers(0, 0o777), st.integers(-(2**40), 2**40)), max_size=5)


@given(ENTRIES)
def test_it_is_what_tarfile_writes(entries: list[tuple[tuple[str, bytes, bytes, str], int, int]]) -> None:
    ours, theirs = io.BytesIO(), io.BytesIO()
    with Tar(ours) as tar, tarfile.open(fileobj=theirs, mode="w", format=tarfile.PAX_FORMAT) as other:
        for (name, kind, content, link), mode, time in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime, info.size = kind, mode, time, len(content)
            info.linkname = link if kind == LINK else ""
            other.addfile(info, io.BytesIO(content))
            tar.add(name, kind, mode, time, len(content), info.linkname, io.BytesIO(content))
    assert gzip.decompress(ours.getvalue()) == theirs.getvalue()


def test_a_file_that_became_shorter_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="a became shorter while it was packed"):
        with (tmp_path / "out").open("wb") as file, Tar(file) as tar:
            tar.add("a", FILE, 0o644, 1, 10, file=io.BytesIO(b"nine byte"))


def test_of_a_file_that_grew_there_is_as_much_as_it_had() -> None:
    file = io.BytesIO()
    with Tar(file) as tar:
        tar.add("a", FILE, 0o644, 1, 3, file=io.BytesIO(b"abcdef"))
        tar.add("b", FILE, 0o644, 1)
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as found:
        member = found.extractfile("a")
        assert member
        assert member.read() == b"abc"
        assert found.getnames() == ["a", "b"]

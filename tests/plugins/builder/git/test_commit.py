"""A commit as it is looked at and packed, with the real git."""

import tarfile
import tracemalloc
from pathlib import Path

import pytest

from flynn.core.errors import Invalid
from flynn.plugins.builder.git.commit import Objects, check, notes, packed, subject
from flynn.plugins.builder.git.modules import FILE, Submodule
from flynn.plugins.builder.git.program import find
from tests.plugins.builder.git.test_packs import Source

pytestmark = pytest.mark.usefixtures("git_client")

MODULES = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = https://example.com/lib.git\n'


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "source")


@pytest.fixture
def objects(source: Source, tmp_path: Path) -> Objects:
    (tmp_path / "home").mkdir()
    return Objects(find(tmp_path / "home"), source.place, {})


def committed(source: Source, files: dict[str, str], message: str = "A change") -> str:
    for name, text in files.items():
        path = source.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        source.git("add", name)
    source.git("commit", "-q", "--allow-empty", "-m", message)
    return source.git("rev-parse", "HEAD")


def linked(source: Source, path: str, commit: str) -> str:
    source.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    source.git("commit", "-qm", "A link")
    return source.git("rev-parse", "HEAD")


async def test_a_commit_is_packed_as_it_is(objects: Objects, source: Source, tmp_path: Path) -> None:
    files = {
        "Procfile": "web: x\n",
        "a/b c.txt": "text\n",
        "a/ä\n.txt": "odd\n",
        "left.txt": "x",
        "run.sh": "#!/bin/sh\n",
    }
    (source.place / "run.sh").touch(0o755)
    committed(source, files | {".gitattributes": "left.txt export-ignore\n"})
    source.git("update-index", "--chmod=+x", "run.sh")
    commit = committed(source, {})
    assert await check(objects, commit) == ()
    path = tmp_path / "source.tgz"
    async with packed(objects, commit, (), path) as (made, names):
        assert names == frozenset()
        with tarfile.open(made) as tar:
            found = {entry.name: entry for entry in tar if entry.isreg()}
            assert set(found) == {"Procfile", "a/b c.txt", "a/ä\n.txt", "run.sh", ".gitattributes"}
            text = tar.extractfile("a/b c.txt")
            assert text
            assert text.read() == b"text\n"
            assert found["run.sh"].mode & 0o100
            assert not found["Procfile"].mode & 0o100
    assert not path.exists()


async def test_submodules_are_named_in_the_source(objects: Objects, source: Source, tmp_path: Path) -> None:
    first = committed(source, {".gitmodules": MODULES, "Dockerfile": "FROM x\n"})
    commit = linked(source, "vendor/lib", first)
    modules = await check(objects, commit)
    assert modules == (Submodule("vendor/lib", "https://example.com/lib.git", first),)
    async with packed(objects, commit, modules, tmp_path / "source.tgz") as (made, names):
        assert names == {"Dockerfile"}
        with tarfile.open(made) as tar:
            told = tar.extractfile(FILE)
            assert told
            assert first.encode() in told.read()
            assert tar.getmember("Dockerfile").isreg()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({FILE: "[]"}, "a name of flynn's own"),
        ({".flynn": "x"}, "a name of flynn's own"),
        ({"a.bin": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 1\n"}, "kept by Git LFS"),
    ],
)
async def test_what_cannot_be_built(objects: Objects, source: Source, files: dict[str, str], why: str) -> None:
    commit = committed(source, files)
    with pytest.raises(Invalid, match=why):
        await check(objects, commit)


async def test_nothing_and_no_commit_cannot_be_built(objects: Objects, source: Source) -> None:
    empty = committed(source, {})
    with pytest.raises(Invalid, match="nothing to build"):
        await check(objects, empty)
    committed(source, {"a": "b"})
    with pytest.raises(Invalid, match="is a tree, no commit"):
        await check(objects, source.git("rev-parse", "HEAD^{tree}"))


async def test_many_pointers_are_counted_and_what_only_looks_like_one_is_none(objects: Objects, source: Source) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "{:064}" + "\nsize 1\n"
    committed(source, {"doc.md": "x" * 80 + "\nversion https://git-lfs.github.com/spec/v1\n", "long": "y" * 5000})
    commit = committed(source, {f"{number}.bin": pointer.format(number) for number in range(6)})
    with pytest.raises(Invalid, match=r"0\.bin, 1\.bin, 2\.bin and 3 more: kept by Git LFS"):
        await check(objects, commit)


async def test_what_a_pusher_is_told_of_a_change(objects: Objects, source: Source) -> None:
    first = committed(source, {"a": "1"})
    second = committed(source, {"a": "2"}, "A header\twith \x1b odd  things " + "x" * 300)
    same = committed(source, {})
    assert await notes(objects, first, second) == []
    assert await notes(objects, second, same) == ["No file differs from the last push; it is built again"]
    [forced] = await notes(objects, second, first)
    assert forced == f"Forced: {first[:8]} does not follow {second[:8]}, which was deployed before"
    assert await notes(objects, "f" * 40, second) == [], "the old one is not here"
    called = await subject(objects, second)
    assert called.startswith(f"{second[:8]} A header with odd things xxx")
    assert called.isprintable()
    assert len(called) < 140


async def test_what_a_release_is_called_takes_no_memory(objects: Objects, source: Source, tmp_path: Path) -> None:
    (tmp_path / "message").write_text("long " * (2 << 20))
    source.git("commit", "-q", "--allow-empty", "-F", str(tmp_path / "message"))
    commit = source.git("rev-parse", "HEAD")
    tracemalloc.start()
    try:
        assert await subject(objects, commit) == f"{commit[:8]} {'long ' * 24}".strip()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


async def test_a_path_that_no_system_takes(objects: Objects, source: Source) -> None:
    blob = source.git("hash-object", "-w", "--stdin", stdin="text")
    tree = source.git("mktree", stdin=f"100644 blob {blob}\t{'x' * 300_000}\n")
    with pytest.raises(Invalid, match="a file whose path is over 64 KiB long"):
        await check(objects, source.git("commit-tree", "-m", "Long", tree))

"""The source of a commit, with the real git."""

import asyncio
import tarfile
from pathlib import Path

import msgspec
import pytest

from flynn.core.errors import Full, Invalid, Unavailable
from flynn.plugins.builder.git import archive
from flynn.plugins.builder.git.archive import Made, making
from flynn.plugins.builder.git.commit import Objects
from flynn.plugins.builder.git.modules import FILE, Submodule
from tests.plugins.builder.git.test_commit import committed, objects, source
from tests.plugins.builder.git.test_packs import Source

__all__ = ["objects", "source"]

pytestmark = pytest.mark.usefixtures("git_client")

MODULES = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = https://example.com/lib.git\n'


def linked(source: Source, path: str, commit: str) -> str:
    source.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    source.git("commit", "-qm", "A link")
    return source.git("rev-parse", "HEAD")


async def made(objects: Objects, commit: str, reserve: int = 0) -> Made:
    """The source of a commit, which is removed again."""
    path = objects.place.parent / "made.tgz"
    try:
        async with making(objects, commit, "", path, reserve) as task:
            return await task
    finally:
        assert not path.exists()


async def test_what_takes_too_long_is_given_up(
    objects: Objects, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(source, {"Procfile": "web: x\n"})
    monkeypatch.setattr(archive, "LIMIT", 0.0)
    with pytest.raises(Unavailable, match="to pack the commit took over 0 s"):
        await made(objects, commit)


async def test_it_is_begun_when_it_is_said(objects: Objects, source: Source, tmp_path: Path) -> None:
    commit, go, path = committed(source, {"Procfile": "web: x\n"}), asyncio.Event(), tmp_path / "source.tgz"
    async with making(objects, commit, "", path, go=go) as task:
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert (done, path.exists()) == (set(), False)
        go.set()
        assert (await task).blob.size == path.stat().st_size


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
    path = tmp_path / "source.tgz"
    async with making(objects, commit, "", path) as task:
        assert (await task).names == frozenset()
        with tarfile.open(path) as tar:
            found = {entry.name: entry for entry in tar if entry.isreg()}
            assert set(found) == {"Procfile", "a/b c.txt", "a/ä\n.txt", "run.sh", ".gitattributes"}
            text = tar.extractfile("a/b c.txt")
            assert text
            assert text.read() == b"text\n"
            assert found["run.sh"].mode & 0o100
            assert not found["Procfile"].mode & 0o100
    assert not path.exists()


async def test_git_may_have_much_to_say_of_a_commit(objects: Objects, source: Source) -> None:
    """A warning for each of these lines: more than the pipe of its standard error holds."""
    lines = "".join(f"!name{number} text\n" for number in range(3000))
    commit = committed(source, {"Procfile": "web: x\n", ".gitattributes": lines})
    async with asyncio.timeout(10):
        assert (await made(objects, commit)).looked.new.id == commit


async def test_submodules_are_named_in_the_source(objects: Objects, source: Source, tmp_path: Path) -> None:
    first = committed(source, {".gitmodules": MODULES, "Dockerfile": "FROM x\n"})
    commit = linked(source, "vendor/lib", first)
    path = tmp_path / "source.tgz"
    async with making(objects, commit, "", path) as task:
        assert (await task).names == {"Dockerfile"}
        with tarfile.open(path) as tar:
            told = tar.extractfile(FILE)
            assert told
            modules = msgspec.json.decode(told.read(), type=tuple[Submodule, ...])
            assert modules == (Submodule("vendor/lib", "https://example.com/lib.git", first),)
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
        await made(objects, commit)


async def test_nothing_and_no_commit_cannot_be_built(objects: Objects, source: Source) -> None:
    empty = committed(source, {})
    with pytest.raises(Invalid, match="nothing to build"):
        await made(objects, empty)
    committed(source, {"a": "b"})
    with pytest.raises(Invalid, match="is a tree, no commit"):
        await made(objects, source.git("rev-parse", "HEAD^{tree}"))


async def test_many_pointers_are_counted_and_what_only_looks_like_one_is_none(objects: Objects, source: Source) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "{:064}" + "\nsize 1\n"
    committed(source, {"doc.md": "x" * 80 + "\nversion https://git-lfs.github.com/spec/v1\n", "long": "y" * 5000})
    commit = committed(source, {f"{number}.bin": pointer.format(number) for number in range(6)})
    with pytest.raises(Invalid, match=r"0\.bin, 1\.bin, 2\.bin and 3 more: kept by Git LFS"):
        await made(objects, commit)


async def test_a_path_that_no_system_takes(objects: Objects, source: Source) -> None:
    blob = source.git("hash-object", "-w", "--stdin", stdin="text")
    tree = source.git("mktree", stdin=f"100644 blob {blob}\t{'x' * 300_000}\n")
    with pytest.raises(Invalid, match="a file whose path is over 64 KiB long"):
        await made(objects, source.git("commit-tree", "-m", "Long", tree))


async def test_links_of_which_nothing_is_said(objects: Objects, source: Source) -> None:
    first = committed(source, {"z": "x", "a/b": "y"})
    for path in ("lib", "a/lib", "zz/lib"):
        commit = linked(source, path, first)
        with pytest.raises(Invalid, match=f"'{path}' is a submodule, but .gitmodules does not say"):
            await made(objects, commit)
        source.git("rm", "-q", "--cached", path)
    committed(source, {".gitmodules": MODULES})
    with pytest.raises(Invalid, match=r"'lib' is a submodule, but .gitmodules does not say"):
        await made(objects, linked(source, "lib", first))


async def test_modules_that_are_said_and_not_there(objects: Objects, source: Source) -> None:
    commit = committed(source, {".gitmodules": MODULES, "a/b": "x"})
    assert (await made(objects, commit)).names == frozenset()


async def test_a_file_of_ours_that_is_committed_beside_submodules(objects: Objects, source: Source) -> None:
    first = committed(source, {".gitmodules": MODULES, ".flynn/other": "x"})
    good = linked(source, "vendor/lib", first)
    await made(objects, good)
    with pytest.raises(Invalid, match="a name of flynn's own"):
        await made(objects, committed(source, {FILE: "[]"}))


async def test_what_is_left_out_of_the_source_may_be_anything(objects: Objects, source: Source) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 1\n"
    commit = committed(source, {"a": "b", "data/x.bin": pointer, ".gitattributes": "data export-ignore\n"})
    assert (await made(objects, commit)).looked.new.id == commit


async def test_a_disk_with_too_little_room(objects: Objects, source: Source) -> None:
    with pytest.raises(Full, match="too little to build on; push again later"):
        await made(objects, committed(source, {"a": "b"}), reserve=1 << 60)
    with pytest.raises(Full, match=r"the source cannot be kept in .*none: No such file"):
        async with making(objects, committed(source, {"a": "c"}), "", objects.place.parent / "none/made.tgz") as task:
            await task

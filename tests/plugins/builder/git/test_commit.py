"""Commits as the real git tells of them."""

import tracemalloc
from pathlib import Path

import pytest

from flynn.core.errors import Invalid
from flynn.plugins.builder.git.commit import Objects, look, notes, parsed
from flynn.plugins.builder.git.program import find
from tests.plugins.builder.git.test_packs import Source

pytestmark = pytest.mark.usefixtures("git_client")


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


async def told(objects: Objects, old: str, new: str) -> list[str]:
    return await notes(objects, await look(objects, new, old))


async def test_what_git_has_of_a_commit(objects: Objects, source: Source) -> None:
    first = committed(source, {"a": "1"})
    second = committed(source, {"a": "2", ".gitmodules": ""}, "A header\twith \x1b odd  things " + "x" * 300)
    looked = await look(objects, second, first)
    assert looked.old
    assert (looked.new.id, looked.new.parents) == (second, (first,))
    assert (looked.new.tree, looked.old.tree) == tuple(
        source.git("rev-parse", f"{c}^{{tree}}") for c in (second, first)
    )
    assert looked.modules
    assert looked.new.subject.startswith(f"{second[:8]} A header with odd things xxx")
    assert looked.new.subject.isprintable()
    assert len(looked.new.subject) < 140
    assert not (await look(objects, first)).modules
    assert (await look(objects, first, "f" * 40)).old is None


async def test_what_is_no_commit_is_refused(objects: Objects, source: Source) -> None:
    commit = committed(source, {"a": "b"})
    source.git("tag", "-a", "-m", "Tagged", "v1")
    for kind, id in (("tree", source.git("rev-parse", "HEAD^{tree}")), ("tag", source.git("rev-parse", "v1"))):
        with pytest.raises(Invalid, match=f"{id[:10]} is a {kind}, no commit"):
            await look(objects, id, commit)


async def test_a_repository_that_git_cannot_read(objects: Objects, source: Source) -> None:
    commit = committed(source, {"a": "b"})
    (source.place / ".git/config").write_text("[core")
    with pytest.raises(Invalid, match=r"git cat-file: .*bad config"):
        await look(objects, commit)


async def test_what_a_pusher_is_told_of_a_change(objects: Objects, source: Source) -> None:
    first = committed(source, {"a": "1"})
    second = committed(source, {"a": "2"})
    third = committed(source, {"a": "3"})
    same = committed(source, {})
    assert await told(objects, first, second) == await told(objects, first, third) == []
    assert await told(objects, third, same) == ["No file differs from the last push; it is built again"]
    [forced] = await told(objects, second, first)
    assert forced == f"Forced: {first[:8]} does not follow {second[:8]}, which was deployed before"
    assert await told(objects, "f" * 40, second) == [], "the old one is not here"


@pytest.mark.parametrize(
    ("said", "subject"),
    [
        (b"\n\nOne\nline\n\nBody\n", "One line"),
        (b"encoding ISO-8859-1\n\n\xe4", "ä"),
        (b"encoding utf-8\n\n\xe4", "?"),
        (b"encoding nothing-of-this\n\n\xc3\xa4", "ä"),
        (b"encoding hex\n\nzz", "zz"),
        (b"gpgsig -----BEGIN\n \n x\n\nSigned", "Signed"),
        (b"\n\n", ""),
        (b"", ""),
    ],
)
def test_what_a_release_is_called(said: bytes, subject: str) -> None:
    raw = b"tree " + b"a" * 40 + b"\nauthor A <a@b> 1 +0000\n" + said
    found = parsed("c" * 40, raw.replace(b"+0000\n\n\n", b"+0000\n\n"))
    assert found.tree == "a" * 40
    assert found.subject.replace("\ufffd", "?") == f"cccccccc {subject}".strip()


async def test_what_a_release_is_called_takes_no_memory(objects: Objects, source: Source, tmp_path: Path) -> None:
    (tmp_path / "message").write_text("long " * (2 << 20))
    source.git("commit", "-q", "--allow-empty", "-F", str(tmp_path / "message"))
    commit = source.git("rev-parse", "HEAD")
    tracemalloc.start()
    try:
        assert (await look(objects, commit)).new.subject == f"{commit[:8]} {'long ' * 24}".strip()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()

"""What a push brings, on a real shelf: brought back from there, made one, and taken away when nobody needs it."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace as replace_means
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Full, Unavailable
from flynn.core.store import Delete
from flynn.plugins.builder.git import consolidate as consolidating
from flynn.plugins.builder.git import layout
from flynn.plugins.builder.git.consolidate import consolidate
from flynn.plugins.builder.git.packs import MANY, Packs, made_one
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.repositories import Local, Repositories
from tests.harness import TestNode
from tests.plugins.builder.git.conftest import put

MAIN = "refs/heads/main"

pytestmark = pytest.mark.usefixtures("git_client")


class Source:
    """A developer's repository that is pushed commit by commit."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, stdin: str = "") -> str:
        me = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(
            ["git", "-C", str(self.place), *me, *words], input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        (self.place / "file").write_text(text)
        self.git("add", "file")
        self.git("commit", "-qm", text)
        return self.git("rev-parse", "HEAD")

    def pack(self, folder: Path, new: str, old: str = "") -> Path:
        """A pack with what `new` has and `old` has not."""
        folder.mkdir()
        wanted = f"{new}\n" + (f"^{old}\n" if old else "")
        self.git("pack-objects", "-q", "--revs", str(folder / "pack"), stdin=wanted)
        return folder


async def pushed(node: TestNode, means: Means, source: Source, tmp_path: Path, count: int) -> list[str]:
    """So many pushes, kept: their commits."""
    commits: list[str] = []
    for number in range(count):
        new = source.commit(f"{number}")
        folder = source.pack(tmp_path / f"pack-{number}", new, commits[-1] if commits else "")
        async with means.packs.keeping(folder) as keeping:
            packs = await keeping
            known = node.mirror.facts.repositories.get("hello") or model.Repository(app="hello", branch="main")
            record = model.Repository(app="hello", branch="main", refs={MAIN: new}, packs=(*known.packs, *packs))
            await put(node, keys.repository("hello"), record)
        commits.append(new)
    return commits


async def blobs(node: TestNode) -> set[str]:
    async with node.http.get(f"{node.url}/v1/blobs") as response:
        return {blob["sha256"] for blob in await response.json()}


async def test_a_repository_is_brought_back_from_the_shelf(node: TestNode, means: Means, tmp_path: Path) -> None:
    commits = await pushed(node, means, Source(tmp_path / "source"), tmp_path, 3)
    for _ in range(2):
        async with means.repositories.opened("hello") as local:
            log = await means.git.output(local.place, "log", "--format=%H", MAIN)
            assert log.decode().split() == commits[::-1]
            await means.git.output(local.place, "fsck", "--strict")
        shutil.rmtree(tmp_path / "git/hello.git")


async def test_what_the_shelf_has_lost_leaves_an_empty_repository(node: TestNode, means: Means, tmp_path: Path) -> None:
    await pushed(node, means, Source(tmp_path / "source"), tmp_path, 2)
    [_, pack] = node.mirror.facts.repositories["hello"].packs
    async with node.http.delete(f"{node.url}/v1/blobs/{pack.pack}") as response:
        assert response.status == 200
    async with means.repositories.opened("hello") as local:
        assert local.lost
        assert (local.known.branch, local.known.refs) == ("main", {})
        assert await means.git.output(local.place, "for-each-ref") == b""


async def test_packs_that_became_one_meanwhile_are_not_lost(node: TestNode, means: Means, tmp_path: Path) -> None:
    source = Source(tmp_path / "source")
    commits = await pushed(node, means, source, tmp_path, 2)
    known = node.mirror.facts.repositories["hello"]
    repositories, fetch = means.repositories, means.repositories._fetch

    async def made_one_first(local: Local, lacking: Iterable[model.Pack]) -> None:
        """As another node does it, after the record was read here."""
        repositories._fetch = fetch  # type: ignore[method-assign]
        async with means.packs.keeping(source.pack(tmp_path / "one", commits[-1])) as keeping:
            packs = await keeping
            await put(node, keys.repository("hello"), replace(known, packs=packs))
        await means.packs.discard([known.packs[0].pack])
        await fetch(local, lacking)

    repositories._fetch = made_one_first  # type: ignore[method-assign]
    async with repositories.opened("hello") as local:
        assert not local.lost
        log = await means.git.output(local.place, "log", "--format=%H", MAIN)
        assert log.decode().split() == commits[::-1]


async def test_a_pack_that_is_not_whole_on_the_disk_comes_again(node: TestNode, means: Means, tmp_path: Path) -> None:
    commits = await pushed(node, means, Source(tmp_path / "source"), tmp_path, 2)
    async with means.repositories.opened("hello") as local:
        place = local.place
    [first, second] = node.mirror.facts.repositories["hello"].packs
    layout.pack_path(place, first.name, "pack").write_bytes(b"")  # The machine went down before it was written.
    layout.pack_path(place, second.name, "idx").write_bytes(b"")
    async with means.repositories.opened("hello") as local:
        log = await means.git.output(place, "log", "--format=%H", MAIN)
        assert log.decode().split() == commits[::-1]


async def test_hooks_are_written_again_and_without_them_nothing_is_taken(
    node: TestNode, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (means.repositories.hooks / "pre-receive").unlink()
    async with means.repositories.opened("hello"):
        assert layout.hooks_run(means.repositories.hooks)
    monkeypatch.setattr(layout, "hooks_run", lambda folder: False)  # As on a disk from which no program runs.
    with pytest.raises(Unavailable, match="no program may run in"):
        async with means.repositories.opened("hello"):
            pass


async def test_many_packs_become_one_and_the_old_ones_go(node: TestNode, means: Means, tmp_path: Path) -> None:
    source = Source(tmp_path / "source")
    commits = await pushed(node, means, source, tmp_path, MANY - 1)
    await consolidate(means, "hello")
    assert len(node.mirror.facts.repositories["hello"].packs) == MANY - 1, "these are not many"
    collecting = asyncio.create_task(means.packs.collect())
    last = source.commit("last")
    async with means.packs.keeping(source.pack(tmp_path / "pack-last", last, commits[-1])) as keeping:
        packs = await keeping
        known = node.mirror.facts.repositories["hello"]
        record = model.Repository(app="hello", branch="main", refs={MAIN: last}, packs=(*known.packs, *packs))
        await put(node, keys.repository("hello"), record)
    await consolidate(means, "hello")
    [one] = node.mirror.facts.repositories["hello"].packs
    async with means.repositories.opened("hello") as local:
        log = await means.git.output(local.place, "log", "--format=%H", MAIN)
        assert log.decode().split() == [last, *commits[::-1]]
    while await blobs(node) != {one.pack, one.index}:
        await asyncio.sleep(0.02)
    collecting.cancel()


async def test_packs_that_are_too_much_are_left_until_there_are_twice_as_many(
    node: TestNode, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consolidating, "MANY", 2)
    source = Source(tmp_path / "source")
    await pushed(node, means, source, tmp_path, 2)
    full = replace_means(means, reserve=1 << 60)
    await consolidate(full, "hello")
    async with means.repositories.opened("hello") as local:
        assert local.heavy == 2
    await consolidate(means, "hello")
    assert len(node.mirror.facts.repositories["hello"].packs) == 2, "these were too much"
    monkeypatch.setattr(consolidating, "LIMIT", 0.0)
    local.heavy = 0
    await consolidate(means, "hello")
    assert local.heavy == 2
    monkeypatch.setattr(consolidating, "LIMIT", 60.0)
    for number in range(2):
        folder = source.pack(tmp_path / f"more-{number}", source.commit(f"more {number}"), "HEAD~1")
        async with means.packs.keeping(folder) as keeping:
            known = node.mirror.facts.repositories["hello"]
            refs = {MAIN: source.git("rev-parse", "HEAD")}
            await put(node, keys.repository("hello"), replace(known, refs=refs, packs=(*known.packs, *await keeping)))
    await consolidate(means, "hello")
    assert (len(node.mirror.facts.repositories["hello"].packs), local.heavy) == (1, 0)


async def test_what_was_pushed_is_fetched_while_packs_become_one(
    node: TestNode, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consolidating, "MANY", 2)

    @asynccontextmanager
    async def asked_meanwhile(*words: Any) -> AsyncIterator[Path]:
        async with made_one(*words) as folder:
            async with asyncio.timeout(10), means.repositories.opened("hello") as local:
                assert len(local.known.packs) == 2
            yield folder

    monkeypatch.setattr(consolidating, "made_one", asked_meanwhile)
    await pushed(node, means, Source(tmp_path / "source"), tmp_path, 2)
    await consolidate(means, "hello")
    assert len(node.mirror.facts.repositories["hello"].packs) == 1


async def test_a_disk_that_takes_nothing_ends_nothing_but_what_needs_it(
    node: TestNode, means: Means, tmp_path: Path
) -> None:
    await pushed(node, means, Source(tmp_path / "source"), tmp_path, MANY)
    (tmp_path / "scratch").rmdir()
    await consolidate(means, "hello")
    assert len(node.mirror.facts.repositories["hello"].packs) == MANY
    shutil.rmtree(tmp_path / "git/hello.git")
    (tmp_path / "git/hello.git").touch()
    with pytest.raises(Full, match="the repository of hello cannot be written on this node: Not a directory"):
        async with means.repositories.opened("hello"):
            pass


async def test_packs_that_no_record_names_go(node: TestNode, means: Means, tmp_path: Path) -> None:
    source = Source(tmp_path / "source")
    folder = source.pack(tmp_path / "pack", source.commit("refused"))
    async with means.packs.keeping(folder) as keeping:
        packs = await keeping
        assert await blobs(node) == {packs[0].pack, packs[0].index}
        assert len(list((tmp_path / "pending").iterdir())) == 2, "a daemon that is killed now finds them again"
    assert await blobs(node) == set()
    assert list((tmp_path / "pending").iterdir()) == []


async def test_packs_that_are_kept_after_something_else(node: TestNode, means: Means, tmp_path: Path) -> None:
    source, after = Source(tmp_path / "source"), asyncio.Event()
    folder = source.pack(tmp_path / "pack", source.commit("later"))
    async with means.packs.keeping(folder, after.wait) as keeping:
        await asyncio.wait([keeping], timeout=0.05)
        assert await blobs(node) == set()
        after.set()
        [pack] = await keeping
        assert await blobs(node) == {pack.pack, pack.index}
    async with means.packs.keeping(folder, asyncio.Event().wait):
        pass
    assert await blobs(node) == set(), "who leaves before that waits for nothing"


async def test_a_pusher_who_leaves_takes_away_what_was_to_be_kept(node: TestNode, means: Means, tmp_path: Path) -> None:
    source = Source(tmp_path / "source")
    folder = source.pack(tmp_path / "pack", source.commit("pushed"))
    [index] = folder.glob("*.idx")
    index.unlink()
    async with means.packs.keeping(folder) as keeping:
        with pytest.raises(Unavailable, match="its pusher left"):
            await keeping
    assert await blobs(node) == set()


async def test_packs_that_another_node_took_away_are_put_there_again(
    node: TestNode, means: Means, tmp_path: Path
) -> None:
    source = Source(tmp_path / "source")
    folder = source.pack(tmp_path / "pack", source.commit("pushed"))
    async with means.packs.keeping(folder) as keeping:
        packs = await keeping
        there = await blobs(node)
        elsewhere = Packs(means.ctx, tmp_path)
        await elsewhere.discard(there)  # The same was pushed there for another app, and refused.
        assert await blobs(node) == set()
        await means.packs.again(folder, packs)
        assert await blobs(node) == there
        shutil.rmtree(folder)
        await means.packs.again(folder, packs)


async def test_what_a_killed_daemon_put_on_the_shelf_goes_when_it_is_back(
    node: TestNode, means: Means, tmp_path: Path
) -> None:
    await pushed(node, means, Source(tmp_path / "source"), tmp_path, 1)
    kept = await blobs(node)
    (tmp_path / "pending" / next(iter(kept))).touch()  # It was killed just after it had kept what was pushed.
    stray = "a" * 64
    (tmp_path / "pending" / stray).touch()
    again = Source(tmp_path / "again")
    folder = again.pack(tmp_path / "pack-again", again.commit("pushed again, and not kept yet"))
    async with means.packs.keeping(folder) as keeping:
        packs = await keeping
        collecting = asyncio.create_task(means.packs.collect())
        while (tmp_path / "pending" / stray).exists():
            await asyncio.sleep(0.02)
        assert await blobs(node) == {*kept, packs[0].pack, packs[0].index}
    assert list((tmp_path / "pending").iterdir()) == []
    assert await blobs(node) == kept
    await node.store.commit([Delete(keys.repository("hello")), Delete(keys.app("hello"))])
    while await blobs(node):
        await asyncio.sleep(0.02)
    collecting.cancel()


async def test_repositories_on_disk_are_bounded(node: TestNode, means: Means, tmp_path: Path) -> None:
    await pushed(node, means, Source(tmp_path / "source"), tmp_path, 1)
    small = Repositories(means.ctx, tmp_path / "git", 10, 1 << 30, 0)
    async with small.opened("hello") as local:
        assert local.place.is_dir()
    assert not local.place.exists(), "it is over its space, and on the shelf"
    async with means.repositories.opened("hello") as local:
        assert local.place.is_dir()
    assert local.place.is_dir()

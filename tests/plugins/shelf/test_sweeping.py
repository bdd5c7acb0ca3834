"""The shelf sweeps itself: on a real disk and a store, through the node API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.core import blobs, keys, model
from flynn.core.brick import Context
from flynn.core.errors import Unavailable
from flynn.core.facts import encode
from flynn.core.store import Put, Range
from flynn.plugins.shelf.blobs import Blob
from flynn.plugins.shelf.brick import Shelf, ShelfConfig
from flynn.plugins.shelf.disk import DiskStore, open_disk
from flynn.plugins.shelf.sweeping import sweep_once
from flynn.plugins.shelf.unused import Look
from tests.contract.blobstore import LIMIT, chunks, digest
from tests.harness import TestNode, open_node

UNUSED = 0.2


async def grid(node: TestNode, *used: str) -> None:
    """The facts of a grid with an app whose releases are these blobs."""
    records: dict[str, model.Record] = {keys.GRID: model.Grid(token="t", domain="flynn.localhost")}
    for number, sha256 in enumerate(used, 1):
        artifact = model.Artifact(sha256=sha256)
        records[keys.release("hello", number)] = model.Release(
            app="hello", version=number, created=1.0, artifact=artifact, processes={}
        )
    await node.store.commit([Put(key, encode(record)) for key, record in records.items()])


async def kept(node: TestNode) -> set[str]:
    async with node.http.get(f"{node.url}/v1/blobs") as response:
        return {blob["sha256"] for blob in await response.json()}


async def until_only(node: TestNode, *left: str) -> None:
    async with asyncio.timeout(20):
        while await kept(node) != {*left}:
            await asyncio.sleep(0.05)


async def test_what_the_grid_put_and_uses_no_more_goes(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig(unused=UNUSED))) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        names = {}
        for word in ("slug", "old", "both", "mine"):
            path = tmp_path / word
            path.write_text(word)
            names[word] = digest(word.encode())
            if word != "mine":
                await blobs.store(ctx, path)
            if word in ("both", "mine"):
                async with node.http.put(f"{node.url}/v1/blobs/{names[word]}", data=path.read_bytes()) as response:
                    assert response.status in (200, 201)
                    assert blobs.UNUSED not in response.headers
        for word, told in {"slug": blobs.SWEEP, "both": None, "mine": None}.items():
            async with node.http.head(f"{node.url}/v1/blobs/{names[word]}") as response:
                assert response.headers.get(blobs.UNUSED) == told
        await grid(node, names["slug"])
        await until_only(node, names["slug"], names["both"], names["mine"])
        async with asyncio.timeout(20):
            while ctx.sentence != "keeps 3 blobs, 0 MB; 1 unused removed":
                await asyncio.sleep(0.02)
        await node.store.commit([Put(keys.release("hello", 1), b"{}")])
        await until_only(node, names["both"], names["mine"])
        url, mark = f"{node.url}/v1/blobs/{names['slug']}", {blobs.UNUSED: blobs.SWEEP}
        async with node.http.put(url, data=b"slug", headers=mark) as response:
            assert response.status == 201, "it is made anew, to be swept again soon"


async def test_only_one_word_is_known(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node, node.running(Shelf(ShelfConfig())):
        headers = {blobs.UNUSED: "keep"}
        async with node.http.put(f"{node.url}/v1/blobs/{digest(b'a')}", data=b"a", headers=headers) as response:
            assert response.status == 422
            assert "Flynn-Unused: keep is no good; say sweep" in (await response.json())["message"]
        assert await kept(node) == set()


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[TestNode, Context, DiskStore]]:
    """A shelf with one blob that may be swept, and that was seen unused for long by `long()`."""
    async with open_node(tmp_path / "node") as node, open_disk(tmp_path / "blobs", LIMIT, 1 << 30) as disk:
        await disk.put(digest(b"a"), chunks(b"a"), sweep=True)
        yield node, node.context("shelf"), disk


async def seen(disk: DiskStore) -> dict[str, Look]:
    return {blob.sha256: Look(blob.asked, -1e6) for blob in await disk.list()}


def nothing(gone: int) -> None:
    raise AssertionError("it was removed")


async def test_facts_that_cannot_be_read_or_are_no_grids_take_nothing(tmp_path: Path) -> None:
    """Nor do blobs count as seen unused from before."""

    async def away(prefix: str = "") -> Range:
        raise Unavailable("etcd does not answer")

    async with opened(tmp_path) as (node, ctx, disk):
        ctx.clock = lambda: 1e10
        assert await sweep_once(ctx, disk, 1.0, await seen(disk), nothing) == {}
        await grid(node)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(node.store, "range", away)
            assert await sweep_once(ctx, disk, 1.0, await seen(disk), nothing) == {}
        assert [*await sweep_once(ctx, disk, 1.0, {}, nothing)] == [digest(b"a")]
        gone: list[int] = []
        await sweep_once(ctx, disk, 1.0, await seen(disk), gone.append)
        assert gone == [1]


async def test_facts_are_read_after_the_blobs_and_not_from_a_mirror_that_is_behind(tmp_path: Path) -> None:
    """A release that the mirror does not show yet keeps its slug."""
    async with opened(tmp_path) as (node, ctx, disk):
        ctx.clock = lambda: 1e10
        read = node.store.range

        async def late(prefix: str = "") -> Range:
            await grid(node, digest(b"a"))
            return await read(prefix)

        looks = await seen(disk)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(node.store, "range", late)
            assert await sweep_once(ctx, disk, 1.0, looks, nothing) == {}


async def test_what_is_found_to_be_there_while_a_pass_decides_stays(tmp_path: Path) -> None:
    """Somebody asks with HEAD, finds it, and so does not put it again."""
    async with opened(tmp_path) as (node, ctx, disk):
        await grid(node)
        ctx.clock = lambda: 1e10
        looks, sweep = await seen(disk), disk.sweep

        async def asked_first(blob: Blob) -> bool:
            await asyncio.sleep(0.02)  # A file system tells the time in steps of some milliseconds.
            assert await disk.head(blob.sha256)
            return await sweep(blob)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk, "sweep", asked_first)
            await sweep_once(ctx, disk, 1.0, looks, nothing)
        assert len(await disk.list()) == 1

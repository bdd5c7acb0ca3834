"""Blobs between bricks: to a real shelf and back, and to servers that answer as a shelf should not."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from flynn.core import blobs, keys
from flynn.core.errors import Full, Invalid, NotFound, TooLarge, Unavailable
from flynn.core.model import Artifact, Instance
from flynn.core.web import Handler
from flynn.plugins.shelf.brick import Shelf, ShelfConfig
from tests.harness import TestNode, open_node
from tests.ports import free_port

DATA = os.urandom(3_000_000)
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@asynccontextmanager
async def false_shelf(node: TestNode, handler: Handler, id: str = "host-b") -> AsyncIterator[None]:
    """Be a shelf of another host that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await register(node, id, port)
        yield
    finally:
        await runner.cleanup()


async def register(node: TestNode, id: str, port: int) -> None:
    instance = Instance(id=id, service="shelf", address=f"127.0.0.1:{port}", host=id)
    await node.mirror.reach(await node.lease.put(keys.instance("shelf", id), instance))


@pytest.mark.parametrize("near", [True, False], ids=["near", "by HTTP"])
async def test_there_and_back(tmp_path: Path, source: Path, near: bool) -> None:
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig())) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        if not near:
            ctx.near.clear()
        for _ in range(2):
            assert await blobs.store(ctx, source) == Artifact(sha256=NAME, size=len(DATA))
        assert ctx.sentence == "keeps 1 blob, 3 MB"
        target = tmp_path / "cache" / "blob"
        target.parent.mkdir()
        await asyncio.gather(*(blobs.fetch(ctx, NAME, target) for _ in range(3)))
        assert target.read_bytes() == DATA
        with pytest.raises(NotFound, match="deploy the app again"):
            await blobs.fetch(ctx, "0" * 64, target.with_name("other"))
        with pytest.raises(Full, match="would stay free"):
            await blobs.fetch(ctx, NAME, target.with_name("other"), leave=1 << 60)
        assert [path.name for path in target.parent.iterdir()] == ["blob"]


@pytest.mark.parametrize("near", [True, False], ids=["near", "by HTTP"])
async def test_who_asks_what_is_missing_uses_the_rest(tmp_path: Path, source: Path, near: bool) -> None:
    """It stays longer, as what is fetched does."""
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig())) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        if not near:
            ctx.near.clear()
        await blobs.store(ctx, source)
        [mark] = (node.node.data / "shelf").glob(f"??/{NAME}.unused")
        os.utime(mark, (1, 1))
        assert await blobs.missing(ctx, (NAME, "0" * 64)) == {"0" * 64}
        assert mark.stat().st_mtime > 1
        [kept] = (node.node.data / "shelf").glob(f"??/{NAME}")
        kept.unlink()
        assert await blobs.missing(ctx, (NAME,)) == {NAME}


async def test_what_is_for_the_shelf_of_this_daemon_goes_without_http(tmp_path: Path, source: Path) -> None:
    """Nothing answers at the node's port as a shelf would; what the shelf says of a file is the same."""
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig(limit=1))) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        other, target, small = node.context("x"), tmp_path / "blob", tmp_path / "small"
        assert other.near.keys() == {node.url}
        other.http = None  # type: ignore[assignment]
        small.write_bytes(b"small")
        named = await blobs.store(other, small)
        assert ctx.sentence == "keeps 1 blob, 0 MB"
        await blobs.fetch(other, named.sha256, target)
        assert target.read_bytes() == b"small"
        with pytest.raises(TooLarge, match="1 MiB"):
            await blobs.store(other, source)
        [kept] = (node.node.data / "shelf").glob(f"??/{named.sha256}")
        kept.write_bytes(b"smell")
        with pytest.raises(Invalid, match="came damaged"):
            await blobs.fetch(other, named.sha256, target)
    assert node.near == {}


async def test_what_is_small_is_put_without_a_question(tmp_path: Path, source: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"small")
    asked: list[str] = []

    async def takes_it(request: web.Request) -> web.StreamResponse:
        asked.append(request.method)
        return web.Response(status=404 if request.method == "HEAD" else 201)

    async with open_node(tmp_path / "node") as node, false_shelf(node, takes_it):
        ctx = node.context("x")
        named = await blobs.store(ctx, small)
        assert (named, asked) == (await blobs.name(small), ["PUT"])
        await blobs.store(ctx, source)
        assert asked == ["PUT", "HEAD", "PUT"]
        await blobs.store(ctx, small, named)
    async with open_node(tmp_path / "other") as node, node.running(Shelf(ShelfConfig())) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        for _ in range(2):
            assert await blobs.store(ctx, small) == named


async def test_no_shelf_at_all(tmp_path: Path, source: Path) -> None:
    async with open_node(tmp_path / "node") as node:
        with pytest.raises(Unavailable, match="no shelf is up"):
            await blobs.store(node.context("x"), source)


async def test_the_other_shelves_are_asked_too(tmp_path: Path, source: Path) -> None:
    """This machine's shelf does not have it, another is dead, a third has it."""

    async def has_it(request: web.Request) -> web.StreamResponse:
        return web.Response(body=DATA)

    target = tmp_path / "blob"
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig())) as ctx:
        await register(node, "host-a", node.node.port)
        await register(node, "host-b", free_port())
        with pytest.raises(Unavailable, match="broke off"):
            await blobs.fetch(ctx, NAME, target)
        async with false_shelf(node, has_it, "host-c"):
            await blobs.fetch(ctx, NAME, target)
        assert target.read_bytes() == DATA


async def test_a_full_shelf_sends_to_the_next(tmp_path: Path, source: Path) -> None:
    small = ShelfConfig(space=1)
    took: list[int] = []

    async def takes_it(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=404)
        took.append(len(await request.content.read()))
        return web.Response(status=201)

    async with open_node(tmp_path / "node") as node, node.running(Shelf(small)) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        with pytest.raises(Full, match=r"shelf\.space"):
            await blobs.store(ctx, source)
        async with false_shelf(node, takes_it):
            await blobs.store(ctx, source)
    assert took == [len(DATA)]


async def test_a_refusal_before_the_body_was_read_is_told(tmp_path: Path) -> None:
    """The answer comes while megabytes are still to be sent: it must not drown in a broken connection."""
    big = tmp_path / "big"
    big.write_bytes(bytes(24 << 20))
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig(limit=1))) as ctx:
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
        ctx.near.clear()
        for _ in range(5):
            with pytest.raises(TooLarge, match="1 MiB at most"):
                await blobs.store(ctx, big)


async def test_damaged_and_cut_off(tmp_path: Path) -> None:
    async def damaged(request: web.Request) -> web.StreamResponse:
        return web.Response(body=DATA[:-1])

    async def cut_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(DATA)
        await response.prepare(request)
        await response.write(DATA[:1000])
        assert request.transport is not None
        request.transport.abort()
        return response

    target = tmp_path / "cache" / "blob"
    target.parent.mkdir()
    async with open_node(tmp_path / "node") as node:
        ctx = node.context("x")
        async with false_shelf(node, damaged):
            with pytest.raises(Invalid, match="came damaged"):
                await blobs.fetch(ctx, NAME, target)
        async with false_shelf(node, cut_off):
            with pytest.raises(Unavailable, match="broke off"):
                await blobs.fetch(ctx, NAME, target)
        assert list(target.parent.iterdir()) == []

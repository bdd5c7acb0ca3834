"""The shelf as its users see it: over HTTP, through a node API."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.core import keys
from flynn.core.brick import Context
from flynn.plugins.shelf.brick import Shelf, ShelfConfig
from tests.contract.blobstore import digest
from tests.harness import TOKEN, TestNode, open_node

DATA = os.urandom(700_000)
NAME = digest(DATA)


@asynccontextmanager
async def shelf(data: Path, limit: int = 16) -> AsyncIterator[tuple[TestNode, Context]]:
    async with open_node(data) as node, node.running(Shelf(ShelfConfig(limit=limit))) as ctx:
        yield node, ctx


async def put(node: TestNode, data: bytes, name: str = "") -> tuple[int, dict[str, str]]:
    async with node.http.put(f"{node.url}/v1/blobs/{name or digest(data)}", data=io.BytesIO(data)) as response:
        return response.status, await response.json()


def parts(node: TestNode) -> list[Path]:
    return list(node.node.data.rglob("*.part"))


async def gone(node: TestNode) -> None:
    """Wait until no half-written blob is left."""
    async with asyncio.timeout(10):
        while parts(node):
            await asyncio.sleep(0.01)


async def test_a_blob_comes_and_goes(tmp_path: Path) -> None:
    async with shelf(tmp_path) as (node, ctx):
        url = f"{node.url}/v1/blobs/{NAME}"
        assert ctx.sentence == "keeps 0 blobs, 0 MB"
        async with node.http.get(url) as response:
            assert response.status == 404
            assert (await response.json())["code"] == "not_found"
        assert (await put(node, DATA))[0] == 201
        assert (await put(node, DATA))[0] == 200
        assert ctx.sentence == "keeps 1 blob, 1 MB"
        async with node.http.get(url) as response:
            assert (response.status, await response.read()) == (200, DATA)
            assert response.headers["ETag"] == f'"{NAME}"'
        async with node.http.head(url) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "700000")
            assert await response.read() == b""
        async with node.http.get(f"{node.url}/v1/blobs") as response:
            [listed] = await response.json()
            assert (listed["sha256"], listed["size"]) == (NAME, 700_000)
            assert abs(listed["created"] - ctx.clock()) < 60
        for status in (200, 404):
            async with node.http.delete(url) as response:
                assert response.status == status
        assert ctx.sentence == "keeps 0 blobs, 0 MB"


async def test_conditions_and_ranges(tmp_path: Path) -> None:
    async with shelf(tmp_path) as (node, _):
        await put(node, DATA)

        async def get(**headers: str) -> tuple[int, str | None, bytes]:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            async with node.http.get(f"{node.url}/v1/blobs/{NAME}", headers=given) as response:
                return response.status, response.headers.get("Content-Range"), await response.read()

        assert await get(If_None_Match=f'"{NAME}"') == (304, None, b"")
        assert await get(If_None_Match='W/"x", "y"') == (200, None, DATA)
        assert await get(Range="bytes=100000-599999") == (206, "bytes 100000-599999/700000", DATA[100_000:600_000])
        assert await get(Range="bytes=-10") == (206, "bytes 699990-699999/700000", DATA[-10:])
        assert await get(Range="bytes=700000-") == (416, "bytes */700000", b"")
        assert await get(Range="bytes=0-1", If_Range='"other"') == (200, None, DATA)
        assert await get(Range="bytes=0-1", If_Range=f'"{NAME}"') == (206, "bytes 0-1/700000", DATA[:2])


async def test_what_is_refused(tmp_path: Path) -> None:
    async with shelf(tmp_path, limit=1) as (node, ctx):
        status, told = await put(node, b"other bytes", NAME)
        assert (status, told["code"]) == (422, "invalid")
        assert digest(b"other bytes") in told["message"]
        for name in (NAME.upper(), NAME[:-1], NAME + "0", "x" * 2048, "%00" * 64, "..%00"):
            status, told = await put(node, DATA, name)
            assert (status, told["code"]) == (422, "invalid"), name
        assert (await put(node, DATA, "%2e%2e%2fx"))[0] == 404
        assert not parts(node)
        assert ctx.sentence == "keeps 0 blobs, 0 MB"


async def test_too_large_by_its_own_word_or_in_fact(tmp_path: Path) -> None:
    big = bytes(9 << 20)

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65536):
            yield big[start : start + 65536]

    async with shelf(tmp_path, limit=1) as (node, _):
        status, told = await put(node, big)
        assert (status, told["code"]) == (413, "too_large")
        assert "1 MiB" in told["message"]
        async with node.http.put(f"{node.url}/v1/blobs/{digest(big)}", data=stream()) as response:
            assert (response.status, (await response.json())["code"]) == (413, "too_large")
        assert not parts(node)
        assert (await put(node, bytes(1 << 20)))[0] == 201


async def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(tmp_path: Path) -> None:
    async with shelf(tmp_path, limit=1) as (node, _):
        reader, writer = await asyncio.open_connection(node.node.address, node.node.port)
        writer.write(_head(NAME, 1 << 40))
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with shelf(tmp_path) as (node, ctx):
        _, writer = await asyncio.open_connection(node.node.address, node.node.port)
        writer.write(_head(NAME, len(DATA)) + DATA[:400_000])
        async with asyncio.timeout(10):
            while not parts(node):
                await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        await gone(node)
        assert ctx.sentence == "keeps 0 blobs, 0 MB"
    assert "flynn made a mistake" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_two_puts_of_one_blob_at_once(tmp_path: Path) -> None:
    halfway = asyncio.Barrier(2)

    async def stream() -> AsyncIterator[bytes]:
        yield DATA[:350_000]
        await halfway.wait()
        yield DATA[350_000:]

    async with shelf(tmp_path) as (node, ctx):

        async def put_slowly() -> int:
            async with node.http.put(f"{node.url}/v1/blobs/{NAME}", data=stream()) as response:
                return response.status

        async with asyncio.timeout(20):
            assert sorted(await asyncio.gather(put_slowly(), put_slowly())) == [200, 201]
        async with node.http.get(f"{node.url}/v1/blobs/{NAME}") as response:
            assert await response.read() == DATA
        assert ctx.sentence == "keeps 1 blob, 1 MB"


async def test_it_is_found_while_it_runs(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        async with node.running(Shelf(ShelfConfig())) as ctx:
            await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 5)
            assert ctx.find("shelf") == node.url
        await node.mirror.until(lambda facts: facts.get(keys.instance("shelf", "host-a")) is None, 5)


def _head(name: str, length: int) -> bytes:
    return (
        f"PUT /v1/blobs/{name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()

"""The builder brick: a source goes in over HTTP, lines come out until what was built serves, or the reason why not."""

import asyncio
import gzip
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.builds import cache_of
from flynn.core.change import Change, commit
from flynn.plugins.builder.brick import NAMES, Builder, BuilderConfig
from tests.harness import TestNode, open_node
from tests.plugins.builder.fakes import HOST, Grid, open_grid
from tests.plugins.host.test_clocks import Clock


def tar(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as packed:
        for name in names:
            packed.addfile(tarfile.TarInfo(name))
    return data.getvalue()


@pytest.fixture
def data(tmp_path: Path, kit: Path) -> Path:
    """The data of a node whose builder has packed its tools before."""
    (tmp_path / "builder").mkdir()
    (packed,) = kit.parent.glob("tools-*.tgz")
    os.link(packed, tmp_path / "builder" / packed.name)
    return tmp_path


class Push:
    """A developer who sends a source and reads the lines."""

    def __init__(self, node: TestNode, response: aiohttp.ClientResponse) -> None:
        self.node, self.response = node, response
        self.lines: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            self.lines.append(json.loads(await self.response.content.readline()))
        return self.lines[-1]

    async def rest(self) -> list[dict[str, Any]]:
        """All lines to the end."""
        async with asyncio.timeout(10):
            self.lines += [json.loads(line) async for line in self.response.content]
        return self.lines


@asynccontextmanager
async def builder(data: Path, **config: Any) -> AsyncIterator[tuple[Grid, Context]]:
    async with open_node(data) as node, open_grid(node) as grid:
        async with node.running(Builder(BuilderConfig(**config))) as ctx:
            yield grid, ctx


@asynccontextmanager
async def push(grid: Grid, body: Any = None, app: str = "hello", query: str = "") -> AsyncIterator[Push]:
    url = f"{grid.node.url}/v1/apps/{app}/builds{query}"
    async with grid.node.http.post(url, data=tar("Procfile") if body is None else body) as response:
        yield Push(grid.node, response)


async def refused(grid: Grid, body: Any = None, app: str = "hello", query: str = "") -> tuple[int, str]:
    async with push(grid, body, app, query) as pushed:
        return pushed.response.status, (await pushed.response.json())["message"]


async def test_a_build_is_told_what_its_app_is_set_to_and_what_all_builds_have(data: Path) -> None:
    blob = "ab" * 32
    env = {"GOPROXY": "https://mirror", "BUILD_TIMEOUT": "1", "PACK_X_DIR": "/"}
    async with builder(data, env=env) as (grid, _):
        app = grid.node.mirror.facts.apps["hello"]
        await grid.put((keys.app("hello"), replace(app, buildpacks=("python", f"shelf:{blob}"))))
        async with push(grid):
            job = await grid.queued()
    assert job.env == {
        "BUILD_ENV": '{"K":"v"}',
        "BUILD_TIMEOUT": "900",
        "BUILD_PACKS": f'["python","shelf:{blob}"]',
        "GOPROXY": "https://mirror",
    }
    assert job.layers[f"pack-{blob[:12]}"] == blob


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", 0), ("timeout", -1), ("memory", -1), ("disk", -1), ("pids", -1), ("uploads", 0), ("limit", 0)],
)
def test_what_cannot_be_a_limit(name: str, value: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert({name: value}, BuilderConfig)


async def test_tools_that_were_taken_from_the_shelf_are_put_there_again(data: Path) -> None:
    async with builder(data) as (grid, _):
        async with asyncio.timeout(10):
            while not grid.blobs:
                await asyncio.sleep(0.01)
        [(tools, _)] = grid.blobs.items()
        grid.blobs.clear()
        async with push(grid):
            job = await grid.queued()
        assert job.layers["tools"] == tools
        assert tools in grid.blobs


async def test_only_layers_that_a_shelf_has_need_not_be_made(data: Path) -> None:
    layers = {"python-1": "b" * 64, "node-1": "e" * 64}
    slug = model.Artifact(sha256="a" * 64, layers=layers)
    async with builder(data) as (grid, _):
        release = model.Release(app="hello", version=1, created=1.0, artifact=slug, processes={})
        await grid.put((keys.release("hello", 1), release))
        grid.blobs["e" * 64] = b"there"
        async with push(grid):
            job = await grid.queued()
    assert job.env["BUILD_LAYERS"] == '["node-1"]'


async def test_a_build_becomes_a_job_and_ends_with_the_deploy(data: Path) -> None:
    async with builder(data, timeout=77) as (grid, _), push(grid, query="?description=More%20hello") as pushed:
        first = await pushed.next()
        job = await grid.queued()
        assert first == {"kind": "build", "job": job.id, "number": 1}
        assert (job.queue, job.type, job.output) == ("builders", "build", True)
        assert job.cache == cache_of(grid.node.mirror.facts.apps["hello"])
        assert job.id.startswith("hello-build-")
        assert job.env == {"BUILD_ENV": '{"K":"v"}', "BUILD_TIMEOUT": "77"}
        assert set(job.layers) == {"build", "tools"}
        assert set(job.layers.values()) == set(grid.blobs)
        build = grid.node.mirror.facts.builds["hello/1"]
        assert (build.state, build.source, build.description) == ("building", job.layers["build"], "More hello")
        await grid.run(job)
        await grid.print(job.id, "-----> one", "       two")
        assert [(await pushed.next())["line"] for _ in range(2)] == ["-----> one", "       two"]
        await grid.print(job.id, "three")
        await grid.run(job, "down", exit_code=0)
        assert (await pushed.next())["line"] == "three"
        slug = model.Artifact(sha256="0" * 64)
        release = model.Release(app="hello", version=1, created=1.0, artifact=slug, processes={}, description="d")
        await grid.put(
            (keys.release("hello", 1), release),
            (keys.deploy("hello"), model.Deploy(app="hello", old=0, new=1, started=1.0)),
            (keys.build("hello", 1), replace(build, state="complete", release=1)),
        )
        assert await pushed.next() == {"kind": "release", "version": 1, "description": "d"}
        await grid.put((keys.deploy("hello"), model.Deploy(app="hello", old=0, new=1, started=1.0, state="complete")))
        last = (await pushed.rest())[-1]
        assert (last["kind"], last["ok"], last["version"]) == ("done", True, 1)


async def test_a_build_is_told_which_commit_it_is_of(data: Path) -> None:
    commit = "1f3a" * 10
    async with builder(data) as (grid, _), push(grid, query=f"?version={commit}") as pushed:
        await pushed.next()
        assert (await grid.queued()).env["SOURCE_VERSION"] == commit
        assert grid.node.mirror.facts.builds["hello/1"].commit == commit


async def test_a_failed_build_says_what_it_said_itself(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        job = await grid.queued()
        await grid.print(job.id, " !     a warning", "x", " !     no buildpack fits")
        await grid.run(job, "down", exit_code=1, reason="exited with code 1")
        build = grid.node.mirror.facts.builds["hello/1"]
        await grid.put((keys.build("hello", 1), replace(build, state="failed", reason="no buildpack fits")))
        lines = await pushed.rest()
        assert [line.get("line") for line in lines[1:4]] == [" !     a warning", "x", " !     no buildpack fits"]
        assert (lines[-1]["ok"], lines[-1]["message"]) == (False, "build failed: no buildpack fits")


async def test_a_lost_build_says_what_the_grid_says(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        job = await grid.queued()
        await grid.put((keys.queued("builders", job.id), model.Queued(job=job, reason="no host has 512 MiB")))
        waiting = await pushed.next()
        assert (waiting["state"], waiting["reason"]) == ("queued", "no host has 512 MiB")
        build = grid.node.mirror.facts.builds["hello/1"]
        await grid.put((keys.build("hello", 1), replace(build, state="failed", reason="its host was lost")))
        assert (await pushed.rest())[-1]["message"] == "build failed: its host was lost"


async def test_a_build_is_followed_on_though_the_clock_is_set(data: Path) -> None:
    clock = Clock()
    async with open_node(data) as node, open_grid(node) as grid:
        node.clock = clock
        async with node.running(Builder(BuilderConfig())), push(grid) as pushed:
            await pushed.next()
            job = await grid.queued()
            clock.off = 2 * 3600
            await grid.put((keys.queued("builders", job.id), model.Queued(job=job, reason="no host has 512 MiB")))
            assert (await pushed.next())["reason"] == "no host has 512 MiB"
            await grid.put((keys.queued("builders", job.id), model.Queued(job=job, reason="no host has 256 MiB")))
            assert (await pushed.next())["reason"] == "no host has 256 MiB"


async def test_an_app_deleted_meanwhile_ends_the_stream(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        await grid.run(await grid.queued())
        await grid.delete(keys.app("hello"))
        await grid.delete(keys.state(HOST, pushed.lines[0]["job"]))
        assert (await pushed.rest())[-1]["message"] == "build failed: hello was deleted meanwhile"


async def test_a_log_that_breaks_off_is_taken_up_where_it_broke(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        job = await grid.queued()
        grid.cut = True
        await grid.print(job.id, "a", "a")
        await grid.print(job.id, "b", "b")
        await grid.run(job)
        assert [(await pushed.next())["line"] for _ in range(4)] == ["a", "a", "b", "b"]
        await grid.print(job.id, "c")
        assert (await pushed.next())["line"] == "c"
        assert not grid.cut


async def test_one_build_of_an_app_at_a_time(data: Path) -> None:
    async with builder(data) as (grid, _):

        async def one() -> tuple[int, dict[str, Any]]:
            async with push(grid) as pushed:
                return pushed.response.status, await pushed.next()

        answers = await asyncio.gather(*(one() for _ in range(8)))
        won = [line for status, line in answers if status == 200]
        assert len(won) == 1
        message = (
            f"build 1 of hello is under way ({won[0]['job']}); wait for it (--wait), "
            "or end it with `flynn build cancel -a hello`"
        )
        assert [line["message"] for status, line in answers if status == 409] == [message] * 7
        assert len(grid.node.mirror.facts.queues) == 1


async def test_a_client_that_goes_away_stops_nothing(data: Path) -> None:
    async with builder(data) as (grid, ctx):
        async with push(grid) as pushed:
            await pushed.next()
        job = await grid.queued()
        assert grid.node.mirror.facts.builds["hello/1"].job == job.id
        assert ctx.sentence.startswith("builds under way: hello; builds have the network of their host")
        assert list((ctx.data / "uploads").iterdir()) == []


async def test_what_is_refused(data: Path) -> None:
    async with builder(data, limit=1) as (grid, ctx):
        assert await refused(grid, app="nope") == (404, "there is no app nope; create it with: flynn create nope")
        assert await refused(grid, b"") == (422, "the source is empty: there is nothing to build")
        assert (await refused(grid, tar("../x")))[0] == 422
        assert (await refused(grid, query="?description=" + "x" * 201))[0] == 422
        status, message = await refused(grid, query="?version=main")
        assert (status, message[:28]) == (422, "'main' names no commit; give")
        too_large = "the source is over 1 MiB packed; leave out what the app does not need (.gitignore)"
        assert await refused(grid, io.BytesIO(bytes(2 << 20))) == (413, too_large)
        assert grid.node.mirror.facts.queues == {}
        assert list((ctx.data / "uploads").iterdir()) == []


async def test_a_body_without_a_length_is_counted(data: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(1 << 18)

    async with builder(data, limit=1) as (grid, _):
        assert (await refused(grid, endless()))[0] == 413


async def test_tools_come_back_when_the_shelf_has_lost_them(data: Path) -> None:
    async with builder(data) as (grid, _):
        async with asyncio.timeout(10):
            while not grid.blobs:
                await asyncio.sleep(0.01)
        (tools,) = grid.blobs.values()
        grid.blobs.clear()
        async with push(grid) as pushed:
            await pushed.next()
        assert tools in grid.blobs.values()
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(tools))) as packed:
            assert packed.getmember("bin/uv").mode == 0o755
            order = packed.extractfile("buildpacks/order")
            assert order is not None
            assert order.read().split() == [name.encode() for name in NAMES]


async def test_so_many_builds_wait_and_no_more(data: Path) -> None:
    async with builder(data, waiting=1) as (grid, _):
        one = model.Job(id="x-build-1", app="x", type="build", queue="builders", command="x", created=1.0)
        facts = grid.node.mirror.facts
        put = Change(puts={keys.queued("builders", one.id): model.Queued(job=one)})
        await grid.node.mirror.reach(await commit(grid.node.store, facts, put))
        status, message = await refused(grid)
        assert status == 429
        assert message.startswith("the queue builders is full: 1 wait, and it takes 1; try again")

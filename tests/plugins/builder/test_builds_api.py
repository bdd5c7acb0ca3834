"""The API of builds, and what followers of one hear of its end."""

import asyncio
import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from flynn.core import keys, model
from tests.plugins.builder.fakes import HOST, Grid
from tests.plugins.builder.test_brick import builder, data, push, tar

__all__ = ["data"]

ALL = "/v1/apps/hello/builds"


async def call(grid: Grid, method: str, path: str) -> tuple[int, Any]:
    async with grid.node.http.request(method, grid.node.url + path) as response:
        return response.status, json.loads(await response.read())


async def read(grid: Grid, path: str) -> list[dict[str, Any]]:
    async with grid.node.http.get(grid.node.url + path) as response:
        assert response.status == 200
        return [json.loads(line) async for line in response.content]


async def end(grid: Grid, number: int, **changes: Any) -> None:
    build = grid.node.mirror.facts.builds[f"hello/{number}"]
    await grid.put((keys.build("hello", number), replace(build, ended=9.0, **changes)))


async def test_builds_are_listed_newest_first(data: Path) -> None:
    async with builder(data) as (grid, _):
        assert await call(grid, "GET", ALL) == (200, [])
        async with push(grid, query="?description=one") as pushed:
            await pushed.next()
            job = await grid.queued()
            await grid.delete(keys.queued("builders", job.id))
            await end(grid, 1, state="failed", reason="no luck")
            assert (await pushed.rest())[-1]["message"] == "build failed: no luck"
        async with push(grid, query="?description=two") as pushed:
            await pushed.next()
            status, found = await call(grid, "GET", ALL)
            assert status == 200
            assert [(b["number"], b["state"], b["description"]) for b in found] == [
                (2, "building", "two"), (1, "failed", "one")
            ]  # fmt: skip
            assert [b["waits"] for b in found] == ["waits to be placed", ""]
            assert await call(grid, "GET", f"{ALL}/2") == (200, found[0])


async def test_what_is_no_build(data: Path) -> None:
    async with builder(data) as (grid, _):
        for method, path in (
            ("GET", "/v1/apps/other/builds"), ("GET", f"{ALL}/1"), ("GET", f"{ALL}/x/log"), ("DELETE", f"{ALL}/1"),
            ("DELETE", f"{ALL}/-1"),
        ):  # fmt: skip
            status, told = await call(grid, method, path)
            assert (status, told["code"]) == (404, "not_found"), path


async def test_who_deploys_hears_that_the_build_was_cancelled(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        job = await grid.queued()
        async with grid.node.http.delete(f"{grid.node.url}{ALL}/1") as asking:
            # The fakes have no leader: the answer comes when somebody has seen to it, or after a while.
            assert asking.status == 200
            assert (await asking.json())["cancel"] == "a user asked for it"
        await grid.delete(keys.queued("builders", job.id))
        await end(grid, 1, state="cancelled", reason="a user asked for it")
        assert (await pushed.rest())[-1]["message"] == "build 1 of hello was cancelled: a user asked for it"
        status, told = await call(grid, "DELETE", f"{ALL}/1")
        assert (status, told["message"]) == (409, "build 1 of hello has ended already: a user asked for it")


async def test_the_log_of_a_build_while_it_runs_and_later(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as pushed:
        await pushed.next()
        job = await grid.queued()
        await grid.print(job.id, "-----> one", "two")
        await grid.run(job, "down", exit_code=1)
        await end(grid, 1, state="failed", reason="it went wrong", host=HOST)
        for _ in range(2):
            lines = await read(grid, f"{ALL}/1/log")
            assert lines[0] == {"kind": "build", "job": job.id, "number": 1}
            assert [line["line"] for line in lines[1:-1]] == ["-----> one", "two"]
            assert (lines[-1]["ok"], lines[-1]["message"]) == (False, "build failed: it went wrong")
            await grid.delete(keys.state(HOST, job.id))
        grid.log[job.id].clear()
        assert (await read(grid, f"{ALL}/1/log"))[1]["line"] == f"its output is not kept any more on {HOST}"
        await grid.delete(keys.host(HOST))
        assert (await read(grid, f"{ALL}/1/log"))[1]["line"] == f"the log is on {HOST}, which is away"


async def test_a_build_that_is_asked_for_again_after_a_later_one_is_told_as_it_was(data: Path) -> None:
    """The same Idempotency-Key: the answer is that of the build which was begun under it."""
    async with builder(data) as (grid, _):
        source, headers = tar("Procfile"), {"Idempotency-Key": "k1"}

        async def post(key: dict[str, str]) -> list[dict[str, Any]]:
            async with grid.node.http.post(grid.node.url + ALL, data=source, headers=key) as response:
                assert response.status == 200
                first = json.loads(await response.content.readline())
                number = first["number"]
                if grid.node.mirror.facts.builds[f"hello/{number}"].state == "building":
                    job = await grid.queued()
                    slug = model.Artifact(sha256="0" * 64)
                    release = model.Release(app="hello", version=number, created=1.0, artifact=slug, processes={})
                    deploy = model.Deploy(app="hello", old=number - 1, new=number, started=1.0, state="complete")
                    receipt = model.Receipt(app="hello", version=number, old=number - 1, started=1.0, state="complete")
                    await grid.delete(keys.queued("builders", job.id))
                    await grid.put(
                        (keys.release("hello", number), release), (keys.deploy("hello"), deploy),
                        (keys.receipt("hello", number), receipt),
                    )  # fmt: skip
                    await end(grid, number, state="complete", release=number)
                return [first, *[json.loads(line) async for line in response.content]]

        before = await post(headers)
        assert (before[-1]["ok"], before[-1]["version"]) == (True, 1)
        assert (await post({}))[-1]["version"] == 2
        again = await post(headers)
        assert (again[0], again[-1]["ok"], again[-1]["version"]) == (before[0], True, 1)


async def test_a_second_build_waits_for_the_first_if_it_is_told_to(data: Path) -> None:
    async with builder(data) as (grid, _), push(grid) as first:
        await first.next()
        job = await grid.queued()

        async def second() -> int:
            async with push(grid, query="?wait=true") as pushed:
                return int((await pushed.next())["number"])

        gone, waits = asyncio.create_task(second()), asyncio.create_task(second())
        await asyncio.sleep(0)
        gone.cancel()  # It goes away: nothing is begun for it.
        await grid.delete(keys.queued("builders", job.id))
        await end(grid, 1, state="failed", reason="no luck")
        async with asyncio.timeout(10):
            assert await waits == 2
        assert len(grid.node.mirror.facts.builds) == 2

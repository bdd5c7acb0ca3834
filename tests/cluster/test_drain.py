"""Machines that are taken out and come back, in a grid of two daemons over one etcd."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, Load, open_grid
from tests.etcd import running_etcd


@asynccontextmanager
async def two_hosts(binary: str, data: Path) -> AsyncIterator[tuple[Grid, Grid]]:
    """Two daemons, `a` and `b`; the first to start is `a`."""
    async with AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(running_etcd(binary, data / "etcd"))
        yield await join(stack, etcd.urls, "a"), await join(stack, etcd.urls, "b")


async def join(stack: AsyncExitStack, etcd: Sequence[str], name: str) -> Grid:
    """One more daemon."""
    ports = {"a": "20000-24999", "b": "25000-29999"}[name]
    told = ("--set", f"host.ports={ports}", "--set", "controller.rest=1")
    return await stack.enter_async_context(open_grid("--etcd", ",".join(etcd), "--name", name, *told))


async def hosts_of(grid: Grid, app: str) -> list[str]:
    return sorted(job["host"] for job in await grid.jobs(app, "up"))


@pytest.mark.heavy
async def test_a_drain_under_load_fails_no_request_and_does_what_was_foretold(any_etcd: str, tmp_path: Path) -> None:
    async with two_hosts(any_etcd, tmp_path) as (a, b):
        await a.ok("create", "hello")
        await a.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        await a.ok("scale", "-a", "hello", "web=4")
        assert await hosts_of(a, "hello") == ["a", "a", "b", "b"]
        before = {job["id"] for job in await a.jobs("hello", "up") if job["host"] == "a"}
        told = (await b.ok("host", "plan-drain", "a", "--json")).json
        assert {one["id"]: one["to"] for one in told["moves"]} == dict.fromkeys(before, "b")
        assert (told["unplaced"], told["ends"], told["stays"]) == ([], [], [])
        async with Load(a, "hello").running() as near, Load(b, "hello").running() as far:
            drained = await b.ok("host", "drain", "a")
            assert await hosts_of(b, "hello") == ["b"] * 4
            assert {job["id"] for job in await b.jobs("hello", "up")}.isdisjoint(before)
            run = await b.ok("run", "-a", "hello", "echo on $FLYNN_HOST_NAME")
        assert near.failures == far.failures == []
        assert near.count > 10
        assert all(f"{id} has left a" in drained.out for id in before)
        assert drained.out.splitlines()[-1] == "a is drained: it has no job"
        assert "a is drained since" in (await b.ok("host")).out
        assert run.out.startswith("on")
        await a.stop()
        await a.start()
        assert (await b.ok("host", "plan-drain", "a")).out.strip() == "a has no job: it can be drained at once"
        await b.ok("scale", "-a", "hello", "web=5")
        assert await hosts_of(b, "hello") == ["b"] * 5
        await b.ok("host", "undrain", "a")

        async def shared() -> bool:
            return await hosts_of(b, "hello") in (["a", "a", "b", "b", "b"], ["a", "a", "a", "b", "b"])

        await b.until(shared, 60, "a gets its share again")


@pytest.mark.heavy
async def test_what_a_volume_binds_is_named_and_stays_unless_it_is_forced(any_etcd: str, tmp_path: Path) -> None:
    async with two_hosts(any_etcd, tmp_path) as (a, b):
        await a.ok("create", "hello")
        await a.ok("volume", "create", "data", "--host", "a", "-a", "hello")
        await a.ok("volume", "mount", "web", "data:/data", "-a", "hello")
        await a.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        (job,) = await a.jobs("hello", "up")
        assert job["host"] == "a"
        refused = await b.flynn("host", "drain", "a")
        assert refused.code == 1
        assert f"a still has 1 job: {job['id']} has its volume data there (--force stops them)" in refused.err
        assert [one["id"] for one in await b.jobs("hello", "up")] == [job["id"]]
        assert (await b.ok("host", "drain", "a", "--force")).out.splitlines()[-1] == "a is drained: it has no job"
        why = "its volume data is on a, which takes no new job: it is drained"

        async def waits() -> bool:
            return [job["reason"] for job in await b.jobs("hello")] == [why]

        await b.until(waits, 20, "the next one waits, and says why")
        assert why in (await b.ok("queue")).out
        await b.ok("host", "add-tag", "a", "disk=ssd")
        await b.ok("host", "undrain", "a")

        async def back() -> bool:
            return await hosts_of(b, "hello") == ["a"]

        await b.until(back, 30, "it runs on a again")
        assert "disk=ssd" in (await a.ok("host")).out


@pytest.mark.heavy
async def test_a_queued_job_is_cancelled_and_its_client_told(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    (host,) = (await grid.ok("host", "--json")).json
    await grid.ok("host", "drain", host["name"], "--no-wait")
    id = (await grid.ok("run", "-d", "-a", "hello", "true")).out.strip()
    listed = await grid.ok("queue", "ephemeral")
    assert id in listed.out
    assert (await grid.ok("queue", "cancel", id)).out == f"{id} cancelled\n"
    assert id not in (await grid.ok("queue", "ephemeral")).out
    again = await grid.flynn("queue", "cancel", id)
    assert (again.code, f"no job '{id}' waits for a host" in again.err) == (1, True)


@pytest.mark.heavy
async def test_a_host_that_joins_gets_its_share_under_load_without_a_failed_request(
    any_etcd: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(running_etcd(any_etcd, tmp_path / "etcd"))
        a = await join(stack, etcd.urls, "a")
        await a.ok("create", "hello")
        await a.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        await a.ok("scale", "-a", "hello", "web=4")
        async with Load(a, "hello").running() as load:
            await join(stack, etcd.urls, "b")

            async def shared() -> bool:
                up = await hosts_of(a, "hello")
                assert len(up) >= 4
                return up == ["a", "a", "b", "b"]

            await a.until(shared, 60, "b gets its share")
        assert load.failures == []
        assert "which has more of its kind than b" in a.log.read_text()

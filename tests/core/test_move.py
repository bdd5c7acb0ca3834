"""The move of a grid into etcd: from real SQLite into real etcd, whole, broken off, refused."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from flynn.core import keys, model, move
from flynn.core.directory import own_directory
from flynn.core.errors import StartError, Unavailable
from flynn.core.etcd import open_etcd
from flynn.core.etcd_rpc import rpc
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.sqlite import open_sqlite
from flynn.core.store import COMMIT_LIMIT, VALUE_LIMIT, Delete, Item, Op, Put, Store, Unchanged
from tests.etcd import running_etcd

GRID = Put(keys.GRID, encode(model.Grid(token="t", domain="d")))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoints(any_etcd: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[str]]:
    async with running_etcd(any_etcd, tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster.urls


@pytest.fixture
async def urls(endpoints: list[str]) -> list[str]:
    """The endpoints of an etcd without keys."""
    async with open_etcd(endpoints) as store:
        request = rpc.DeleteRangeRequest(key=b"\0", range_end=b"\0")
        await store.link.call(lambda e, t: e.kv.DeleteRange(request, timeout=t))
    return endpoints


def facts(count: int) -> list[Put]:
    """Facts of `count` apps, without leases."""
    made = []
    for n in range(count):
        name = f"app-{n:03}"
        job = model.Job(id=f"{name}-web-1", app=name, type="web", queue="services", command="x", created=1.0)
        made += [
            Put(keys.app(name), encode(model.App(name=name, created=1.0))),
            Put(keys.formation(name), encode(model.Formation(app=name, counts={"web": n}))),
            Put(keys.job("host-a", job.id), encode(model.Assignment(job=job, host="host-a", assigned=1.0))),
            Put(keys.queued("builders", job.id), encode(model.Queued(job=job))),
            Put(keys.route(name), encode(model.Route(id=name, domain=f"{name}.d", service=f"{name}-web"))),
        ]
    return made


async def fill(store: Store, count: int) -> None:
    """A grid with `count` apps, and with a daemon's leased facts."""
    lease = await store.grant(60)
    leader = encode(model.Leader(host="host-a"))
    await store.commit([GRID, Put("elections/controller", leader, lease), Put("locks/x", leader, lease)])
    made = facts(count)
    for start in range(0, len(made), COMMIT_LIMIT):
        await store.commit(made[start : start + COMMIT_LIMIT])


async def values(store: Store) -> dict[str, bytes]:
    return {item.key: item.value for item in (await store.range()).items}


class TestMoveNode:
    async def test_every_fact_without_a_lease_is_carried(self, urls: list[str], tmp_path: Path) -> None:
        async with open_sqlite(tmp_path / "store.db") as source:
            await fill(source, 60)
            before = await values(source)
        assert await move.move_node(tmp_path, urls) == 301
        async with open_etcd(urls) as target:
            found = await target.range()
        expected = {key: value for key, value in before.items() if not key.startswith(("elections/", "locks/"))}
        assert {item.key: item.value for item in found.items} == expected
        shown = Facts.fresh(found.items, found.revision)
        assert shown.grid == model.Grid(token="t", domain="d")
        assert shown.formations["app-059"].counts == {"web": 59}
        assert (tmp_path / "moved-to-etcd").read_text().strip() == ",".join(urls)

    async def test_a_second_move_of_the_same_does_nothing(self, urls: list[str], tmp_path: Path) -> None:
        async with open_sqlite(tmp_path / "store.db") as source:
            await fill(source, 1)
        assert await move.move_node(tmp_path, urls) == 6
        (tmp_path / "moved-to-etcd").unlink()
        async with open_etcd(urls) as target:
            before = await target.range()
            assert await move.move_node(tmp_path, urls) == 6
            assert (await target.range()).items == before.items
        assert (tmp_path / "moved-to-etcd").exists()

    async def test_a_running_daemon_is_told_of(self, urls: list[str], tmp_path: Path) -> None:
        async with open_sqlite(tmp_path / "store.db") as source:
            await fill(source, 1)
        with own_directory(tmp_path), pytest.raises(StartError, match="stop the daemon first"):
            await move.move_node(tmp_path, urls)
        assert not (tmp_path / "moved-to-etcd").exists()

    async def test_no_grid_is_told_of_and_nothing_is_made(self, urls: list[str], tmp_path: Path) -> None:
        with pytest.raises(StartError, match="no grid in"):
            await move.move_node(tmp_path / "none", urls)
        assert not (tmp_path / "none").exists()
        async with open_sqlite(tmp_path / "store.db"):
            pass
        with pytest.raises(StartError, match="no grid in"):
            await move.move_node(tmp_path, urls)
        assert not (tmp_path / "moved-to-etcd").exists()

    async def test_endpoints_that_are_no_good_leave_all_as_it_was(self, tmp_path: Path) -> None:
        async with open_sqlite(tmp_path / "store.db") as source:
            await fill(source, 1)
        with pytest.raises(StartError, match="TLS"):
            await move.move_node(tmp_path, ["https://10.0.0.1:2379"])
        assert not (tmp_path / "moved-to-etcd").exists()


class Breaking(MemoryStore):
    """A store that fails at its commit number `left`, and at those that follow."""

    left = 0

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        self.left -= 1
        if self.left < 0:
            raise Unavailable("broken")
        return await super().commit(ops, guards)


class TestMove:
    @pytest.mark.parametrize("after", range(1, 6))
    async def test_a_move_broken_off_begins_anew(self, after: int) -> None:
        source, target = MemoryStore(), Breaking()
        await fill(source, 50)
        target.left = after
        if after < 5:
            with pytest.raises(Unavailable):
                await move.move(source, target)
            assert await target.get(keys.GRID) is None
            await source.commit([Delete(keys.app("app-000"))])
            target.left = 1000
            assert await move.move(source, target) == 250
        else:
            assert await move.move(source, target) == 251
        carried = {item.key: item.value for item in move.carried((await source.range()).items)}
        assert await values(target) == carried

    @pytest.mark.parametrize("key", [keys.app("other"), keys.GRID, "elections/controller"])
    async def test_what_is_there_is_never_touched(self, key: str) -> None:
        source, target = MemoryStore(), MemoryStore()
        await fill(source, 1)
        await target.commit([Put(key, b"{}")])
        with pytest.raises(StartError, match="etcdctl del --prefix /flynn/v1/"):
            await move.move(source, target)
        assert await values(target) == {key: b"{}"}

    async def test_a_grid_that_went_on_is_not_overwritten(self) -> None:
        source, target = MemoryStore(), MemoryStore()
        await fill(source, 1)
        await move.move(source, target)
        await target.commit([Delete(keys.app("app-000"))])
        with pytest.raises(StartError, match="already holds a grid"):
            await move.move(source, target)

    async def test_a_daemon_that_starts_during_the_move_wins(self) -> None:
        class Raced(MemoryStore):
            async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
                if any(op.key == keys.GRID for op in ops):
                    await super().commit([Put(keys.GRID, b"other")])
                return await super().commit(ops, guards)

        source, target = MemoryStore(), Raced()
        await fill(source, 1)
        with pytest.raises(StartError, match="someone else began"):
            await move.move(source, target)
        item = await target.get(keys.GRID)
        assert item is not None
        assert item.value == b"other"


class TestPortions:
    def test_they_fit_into_commits_and_lose_nothing(self) -> None:
        items = [Item(f"k/{n:03}", b"x" * (n * n * 2), n, n) for n in range(220)]
        found = list(move.portions(items))
        assert [item for some in found for item in some] == items
        assert all(len(some) <= COMMIT_LIMIT for some in found)
        assert all(sum(len(i.key) + len(i.value) for i in some) <= VALUE_LIMIT for some in found)
        assert len(found[0]) == COMMIT_LIMIT

    def test_one_as_large_as_allowed_stands_alone(self) -> None:
        items = [Item(f"k/{n}", b"x" * VALUE_LIMIT, n, n) for n in range(3)]
        assert [len(some) for some in move.portions(items)] == [1, 1, 1]

    def test_the_order_of_creation_is_kept(self) -> None:
        items = [Item("apps/b", b"", 1, 9), Item("apps/a", b"", 2, 2), Item("hosts/a", b"", 1, 1)]
        assert [item.key for item in move.carried(items)] == ["apps/b", "apps/a"]

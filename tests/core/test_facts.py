"""Photos of the grid, and changes decided on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys
from flynn.core.change import Change, applied, carry_out, commit, together
from flynn.core.errors import Conflict, Invalid
from flynn.core.facts import Facts, Stamp, encode
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.model import App, Grid, Host, Instance, Record, Route
from flynn.core.store import COMMIT_LIMIT, Batch, Delete, Item, Put, Unchanged


def instance(id: str, service: str = "web", *, draining: bool = False) -> Instance:
    return Instance(id=id, service=service, address="127.0.0.1:1", host="h", draining=draining)


def items(**values: bytes) -> tuple[Item, ...]:
    return tuple(Item(f"apps/{name}", value, 5, 5) for name, value in values.items())


def test_records_are_found_by_table_and_key() -> None:
    app, grid = App(name="a", created=1.0), Grid(token="t", domain="d")
    facts = Facts.of({keys.app("a"): app, keys.GRID: grid, keys.instance("web", "i"): instance("i")}, revision=3)
    assert (facts.apps, facts.grid, dict(facts.services)) == ({"a": app}, grid, {"web/i": instance("i")})
    assert facts.get(keys.app("a")) == app
    assert facts.get(keys.app("b")) is None
    assert facts.stamp(keys.app("a")) == Stamp(3, 3)
    assert facts.hosts == {}


def test_a_later_photo_shares_what_did_not_change_and_leaves_the_former_alone() -> None:
    host = Host(name="h", address="a", url="u", started=1.0)
    first = Facts.of({keys.app("a"): App(name="a", created=1.0), keys.host("h"): host})
    new = Item(keys.app("b"), encode(App(name="b", created=2.0)), 7, 7)
    second = first.after(Batch(7, (new,), (keys.app("a"), keys.app("never-there"))))
    assert list(first.apps) == ["a"]
    assert list(second.apps) == ["b"]
    assert second.revision == 7
    assert second.hosts is first.hosts


def test_what_cannot_be_read_is_left_out_but_can_be_written_over(caplog: pytest.LogCaptureFixture) -> None:
    facts = Facts.of({keys.app("a"): App(name="a", created=1.0), keys.app("b"): App(name="b", created=1.0)})
    facts = facts.after(Batch(5, items(a=b'{"name": 1}', c=b"\xff{", d=b"[" * 100_000), ()))
    assert list(facts.apps) == ["b"]
    assert "apps/a cannot be read" in caplog.text
    assert facts.unchanged(keys.app("a")) == Unchanged("apps/a", 5)
    assert facts.after(Batch(6, (), (keys.app("a"),))).unchanged(keys.app("a")) == Unchanged("apps/a", 0)


def test_what_a_newer_flynn_wrote_is_read_as_far_as_known() -> None:
    facts = Facts().after(
        Batch(5, (*items(a=b'{"name":"a","created":1,"colour":"red"}'), Item("moods/x", b"?", 5, 5)), ())
    )
    assert facts.apps == {"a": App(name="a", created=1.0)}
    assert facts.get("moods/x") is None


def test_instances_are_oldest_first() -> None:
    facts = Facts()
    for revision, id in enumerate(["c", "a", "b"], start=1):
        facts = facts.after(
            Batch(revision, (Item(keys.instance("web", id), encode(instance(id)), revision, revision),), ())
        )
    renewed = Item(keys.instance("web", "c"), encode(instance("c", draining=True)), 1, 9)
    other = Item(keys.instance("web-2", "x"), encode(instance("x", "web-2")), 9, 9)
    facts = facts.after(Batch(9, (renewed, other), ()))
    assert [found.id for found in facts.instances("web")] == ["c", "a", "b"]
    assert facts.instances("we") == []


RECORDS: list[Record] = [
    *(Route(id=f"r{n}", service="s", app=app, path=path) for n in range(3) for app in ("", "a") for path in "/x"),
    *(instance(id, service, draining=draining) for id in "ij" for service in "st" for draining in (True, False)),
]
COMMITS = st.lists(st.tuples(st.sampled_from(RECORDS), st.booleans()), min_size=1, max_size=4)


def key_of(record: Record) -> str:
    if isinstance(record, Route):
        return keys.route(record.id)
    assert isinstance(record, Instance)
    return keys.instance(record.service, record.id)


@given(st.lists(COMMITS, max_size=10))
def test_groups_hold_what_the_tables_hold(commits: list[list[tuple[Record, bool]]]) -> None:
    facts = Facts()
    for revision, changes in enumerate(commits, start=1):
        last = {key_of(record): (record, here) for record, here in changes}
        puts = tuple(Item(key, encode(record), revision, revision) for key, (record, here) in last.items() if here)
        facts = facts.after(Batch(revision, puts, tuple(key for key, (_, here) in last.items() if not here)))
        for grouped, owners in (
            (facts.instances_by_service, {key: i.service for key, i in facts.services.items()}),
            (facts.routes_by_app, {key: route.app for key, route in facts.routes.items()}),
        ):
            assert {key: owner for owner in grouped for key in grouped[owner]} == owners
            assert all(grouped.values())
        assert all(facts.routes_by_app[r.app][id] is r for id, r in facts.routes.items())
        assert all(facts.instances_by_service[i.service][key] is i for key, i in facts.services.items())


def test_the_routes_of_an_app_are_oldest_first() -> None:
    rows = (("b", "x", 2.0), ("a", "x", 2.0), ("c", "x", 1.0), ("d", "y", 0.0))
    routes = [Route(id=id, service="s", app=app, created=created) for id, app, created in rows]
    facts = Facts.of({keys.route(route.id): route for route in routes})
    assert [route.id for route in facts.routes_of("x")] == ["c", "a", "b"]
    assert facts.routes_of("z") == []


def test_a_record_is_what_was_encoded() -> None:
    app = App(name="a", created=1.5, release=3, env={"K": "ü\n\0"})
    assert Facts.of({keys.app("a"): app}).apps["a"] == app


def test_a_change_guards_all_that_it_writes_removes_and_has_read() -> None:
    facts = Facts.of({keys.app("a"): App(name="a", created=1.0), keys.app("b"): App(name="b", created=1.0)}, revision=4)
    change = Change(
        puts={keys.app("a"): App(name="a", created=2.0), keys.app("new"): App(name="new", created=2.0)},
        deletes=(keys.app("b"),),
        seen=(keys.app("a"), keys.host("h")),
    )
    guards = [("apps/a", 4), ("apps/new", 0), ("apps/b", 4), ("hosts/h", 0)]
    assert change.guards(facts) == [Unchanged(key, revision) for key, revision in guards]
    assert [type(op) for op in change.ops()] == [Put, Put, Delete]
    told = Change(puts=change.puts, deletes=change.deletes, follows=(keys.app("new"),))
    assert [guard.key for guard in told.guards(facts)] == ["apps/a", "apps/b"]


async def test_the_largest_change_can_be_committed_with_a_fence() -> None:
    store = MemoryStore()
    fence = Unchanged("elections/x", await store.commit([Put("elections/x", b"")]))
    puts = {keys.app(f"a{n}"): App(name=f"a{n}", created=1.0) for n in range(COMMIT_LIMIT)}
    assert await commit(store, Facts(), Change(puts=puts), [fence])
    with pytest.raises(Invalid):
        await commit(store, Facts(), Change(puts={**puts, keys.app("more"): App(name="more", created=1.0)}), [fence])


async def test_a_change_is_decided_anew_until_it_holds() -> None:
    store, seen = MemoryStore(), []

    def decide(facts: Facts) -> Change:
        seen.append(facts)
        created = facts.apps["a"].created + 1 if "a" in facts.apps else 1.0
        return Change(puts={keys.app("a"): App(name="a", created=created)})

    async with open_mirror(store) as mirror:
        await store.commit([Put(keys.app("a"), encode(App(name="a", created=10.0)))])
        facts = await carry_out(store, mirror, decide)
        assert facts.apps["a"].created == 11.0
        assert len(seen) == 2
        assert await carry_out(store, mirror, lambda facts: Change()) is mirror.facts


async def test_a_change_that_always_loses_is_a_conflict() -> None:
    store = MemoryStore()

    class Rival(MemoryStore):
        async def commit(self, *args: object) -> int:
            raise Conflict("someone was faster")

    async with open_mirror(store) as mirror:

        def decide(facts: Facts) -> Change:
            store._apply([Put("apps/z", b"{}")])
            return Change(puts={keys.app("a"): App(name="a", created=1.0)})

        with pytest.raises(Conflict, match="try again"):
            await carry_out(Rival(), mirror, decide)


def test_two_changes_as_one_lead_where_they_lead_one_after_the_other() -> None:
    one, two, three = (App(name="hello", created=created) for created in (1.0, 2.0, 3.0))
    facts = Facts.of({keys.app(name): one for name in ("a", "b", "c", "e")})
    first = Change({keys.app("a"): two, keys.app("d"): two}, (keys.app("b"), keys.app("c")), (keys.app("e"),), "first")
    then = Change({keys.app("a"): three, keys.app("b"): three}, (keys.app("d"),), why="then", follows=(keys.app("a"),))
    both = together(first, then)
    assert dict(applied(facts, both).apps) == dict(applied(applied(facts, first), then).apps)
    assert (both.why, both.deletes) == ("first; then", (keys.app("c"), keys.app("d")))
    assert set(both.guarded()) == {keys.app(name) for name in "bcde"}

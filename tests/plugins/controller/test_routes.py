"""The API of routes over real HTTP, and two nodes that are asked for the same at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.memory import MemoryStore
from flynn.core.store import Op, Put, Store, Unchanged
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.core.outage import Line
from tests.harness import TestNode, open_node
from tests.plugins.controller.test_api import call


class Meeting(Line):
    """A line to a store on which commits of routes wait for each other."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.expect(0)

    def expect(self, number: int) -> None:
        """The next commits of routes, so many, go on when all of them are there."""
        self.expected, self._all = number, asyncio.Event()

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        if self.expected and any(op.key.startswith("routes/") for op in ops):
            self.expected -= 1
            if not self.expected:
                self._all.set()
            await asyncio.wait_for(self._all.wait(), 10)
        return await super().commit(ops, guards)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[TestNode]]:
    """Two controllers over one store, each with a mirror of its own; the apps hello and other."""
    async with AsyncExitStack() as stack:
        store = Meeting(MemoryStore())
        first = await stack.enter_async_context(open_node(tmp_path / "a", store))
        second = await stack.enter_async_context(open_node(tmp_path / "b", store))
        for node in (first, second):
            await stack.enter_async_context(node.running(Controller(ControllerConfig())))
        made = [await call(first, "POST", "/v1/apps", {"name": name}) for name in ("hello", "other")]
        await second.mirror.until(lambda facts: len(facts.apps) == 2, 5)
        assert [status for status, _ in made] == [201, 201]
        yield [first, second]


ALL = {
    "domain": "Shop.Example.com", "path": "/cart/", "service": "cart", "sticky": True, "connect_timeout": 2,
    "first_byte_timeout": 60.5, "idle_timeout": 90, "body_timeout": 120, "body_limit": 1000, "max_in_flight": 10,
    "queue": 5, "maintenance": True, "pages": {"503": "<p>soon</p>"}, "leader": False,
}  # fmt: skip


async def test_a_route_takes_all_options_and_changes_them(nodes: list[TestNode]) -> None:
    node = nodes[0]
    status, made = await call(node, "POST", "/v1/apps/hello/routes", ALL)
    assert status == 201
    assert made | ALL | {"domain": "shop.example.com", "path": "/cart"} == made
    change = {"sticky": False, "leader": True, "queue": 0, "max_in_flight": 0, "service": "hello-web"}
    status, changed = await call(node, "PATCH", f"/v1/routes/{made['id']}", change)
    assert (status, changed) == (200, made | change)
    assert (await call(node, "GET", f"/v1/routes/{made['id']}")) == (200, changed)
    assert changed in (await call(node, "GET", "/v1/apps/hello/routes"))[1]


async def test_unknown_keys_are_refused_with_the_known_ones(nodes: list[TestNode]) -> None:
    for method, path, more in (
        ("POST", "/v1/apps/hello/routes", ("kind", "domain", "path", "port", "service", "sticky", "pages")),
        ("PATCH", "/v1/apps/hello/routes", ("sticky", "leader", "maintenance", "queue", "pages")),
        ("PATCH", "/v1/routes/1a2b3c4d", ("service", "sticky", "queue", "pages")),
    ):
        status, problem = await call(nodes[0], method, path, {"domian": "x"})
        assert (status, problem["code"]) == (422, "invalid")
        _, unknown, known = problem["message"].partition("unknown field `domian`; known are: ")
        assert unknown
        assert set(more) <= set(known.split(", "))


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"domain": "a.example.com", "queue": 5}, 422, "queue needs max_in_flight"),
        ({"domain": "a.example.com", "sticky": 1}, 422, "bool"),
        ({"domain": "a.example.com", "kind": "udp"}, 422, "udp"),
        ({"domain": "a.example.com", "body_limit": 10**30}, 422, "bytes from 0"),
        ({"kind": "tcp", "port": 2379}, 422, "port 2379 is kept for etcd"),
        ({"kind": "tcp", "domain": "a.example.com"}, 422, "a TCP route has no domain"),
        ({"domain": "hello.flynn.localhost"}, 409, "hello.flynn.localhost leads to the app hello already"),
    ],
)
async def test_bad_routes_are_refused_with_the_rule(nodes: list[TestNode], body: Any, status: int, told: str) -> None:
    answered, problem = await call(nodes[0], "POST", "/v1/apps/other/routes", body)
    assert answered == status
    assert told in problem["message"]


async def test_tcp_routes_get_ports_and_go_with_their_app(nodes: list[TestNode]) -> None:
    node = nodes[0]
    _, first = await call(node, "POST", "/v1/apps/hello/routes", {"kind": "tcp"})
    _, second = await call(node, "POST", "/v1/apps/hello/routes", {"kind": "tcp", "port": 5432, "service": "db"})
    assert [(r["kind"], r["port"], r["service"], r["domain"]) for r in (first, second)] == [
        ("tcp", 3000, "hello-web", ""),
        ("tcp", 5432, "db", ""),
    ]
    _, shown = await call(node, "GET", "/v1/apps/hello")
    assert shown["url"] == "http://hello.flynn.localhost"
    assert (await call(node, "DELETE", f"/v1/routes/{shown['routes'][0]['id']}"))[0] == 200
    assert (await call(node, "GET", "/v1/apps/hello"))[1]["url"] == "http://hello.flynn.localhost"
    _, told = await call(node, "DELETE", "/v1/apps/hello")
    assert told[-1]["ok"]
    assert {route.app for route in node.mirror.facts.routes.values()} == {"other"}


async def test_maintenance_is_for_all_http_routes_of_an_app(nodes: list[TestNode]) -> None:
    node = nodes[0]
    for body in ({"domain": "www.example.com"}, {"kind": "tcp"}):
        assert (await call(node, "POST", "/v1/apps/hello/routes", body))[0] == 201
    many = {
        f"{keys.route(f'm{n}')}": model.Route(id=f"m{n}", service="s", domain=f"d{n}", app="hello") for n in range(95)
    }
    await node.mirror.reach(await node.store.commit([Put(key, encode(record)) for key, record in many.items()]))
    wanted = {"maintenance": True, "pages": {"maintenance": "<p>back at noon</p>"}}
    status, changed = await call(node, "PATCH", "/v1/apps/hello/routes", wanted)
    assert (status, len(changed)) == (200, 97)
    assert all(route | wanted == route for route in changed)
    assert sum(route.maintenance for route in node.mirror.facts.routes.values()) == 97
    _, changed = await call(node, "PATCH", "/v1/apps/hello/routes", {"maintenance": False})
    assert [route["maintenance"] for route in changed] == [False] * 97
    assert (await call(node, "PATCH", "/v1/apps/nosuch/routes", wanted))[0] == 404


async def at_once(nodes: list[TestNode], bodies: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """The answers to adding all these routes, asked of both nodes in turn; all are decided before one is written."""
    return await met(nodes, [("POST", "/v1/apps/hello/routes", body) for body in bodies])


async def met(nodes: list[TestNode], asked: list[tuple[str, str, Any]]) -> list[tuple[int, Any]]:
    assert isinstance(nodes[0].store, Meeting)
    nodes[0].store.expect(len(asked))
    return await asyncio.gather(*(call(nodes[i % 2], *what) for i, what in enumerate(asked)))


async def test_of_many_adds_of_one_domain_at_once_one_wins(nodes: list[TestNode]) -> None:
    spellings = ["x.example.com", "X.example.com", "x.EXAMPLE.com."] * 4
    answers = await at_once(
        nodes, [{"domain": spelling, "path": "/a" + "/" * (i % 2)} for i, spelling in enumerate(spellings)]
    )
    assert sorted(status for status, _ in answers) == [201] + [409] * 11
    assert sum(route.domain == "x.example.com" for route in nodes[0].mirror.facts.routes.values()) == 1


async def test_many_that_want_a_port_at_once_get_one_each(nodes: list[TestNode]) -> None:
    answers = await at_once(nodes, [{"kind": "tcp"}] * 16)
    assert [status for status, _ in answers] == [201] * 16
    assert len({route["port"] for _, route in answers}) == 16
    answers = await at_once(nodes, [{"kind": "tcp", "port": 7000}] * 8)
    assert sorted(status for status, _ in answers) == [201] + [409] * 7


async def test_changes_at_once_do_not_undo_each_other(nodes: list[TestNode]) -> None:
    _, [route] = await call(nodes[0], "GET", "/v1/apps/hello/routes")
    wanted: list[dict[str, Any]] = [{"sticky": True}, {"body_limit": 7}, {"idle_timeout": 9}, {"pages": {"503": "x"}}]
    answers = await met(nodes, [("PATCH", f"/v1/routes/{route['id']}", change) for change in wanted])
    assert [status for status, _ in answers] == [200] * 4
    merged = route | {"sticky": True, "body_limit": 7, "idle_timeout": 9, "pages": {"503": "x"}}
    assert (await call(nodes[0], "GET", f"/v1/routes/{route['id']}"))[1] == merged

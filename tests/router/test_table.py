"""Which route a host and a path find."""

import pytest

from flynn.core.model import Route
from flynn.router.place import Place
from flynn.router.service import Service
from flynn.router.table import Table

ROUTES = [
    ("a.test", "/", "a"),
    ("A.test", "/api/", "api"),
    ("a.test", "/api/v2", "v2"),
    ("*.test", "/", "star"),
    ("*.b.test", "/", "bstar"),
    ("x.b.test", "/only", "only"),
    ("Dot.Test.", "/", "dot"),
]


def place(number: int, domain: str, path: str, service: str) -> Place:
    route = Route(id=str(number), domain=domain, path=path, service=service, created=number)
    return Place(route, Service(service))


def table(*more: tuple[str, str, str]) -> Table:
    return Table(place(number, *row) for number, row in enumerate([*ROUTES, *more]))


def found(table: Table, host: bytes, target: bytes = b"/") -> str | None:
    place = table.find(host, target)
    return place.service.name if place else None


@pytest.mark.parametrize(
    ("host", "target", "service"),
    [
        (b"a.test", b"/", "a"),
        (b"A.TEST:8080", b"/x?y", "a"),
        (b"a.test.", b"/", "a"),
        (b"a.test.:80", b"*", "a"),
        (b"dot.test", b"/", "dot"),
        (b"a.test", b"/api", "api"),
        (b"a.test", b"/api?x=/api/v2", "api"),
        (b"a.test", b"/api/v2/x", "v2"),
        (b"a.test", b"/api/v22", "api"),
        (b"a.test", b"/apis", "a"),
        (b"a.test", b"//api", "a"),
        (b"a.test", b"/API", "a"),
        (b"c.test", b"/", "star"),
        (b"d.c.test", b"/", "star"),
        (b"c.b.test", b"/", "bstar"),
        (b"b.test", b"/", "star"),
        (b"x.b.test", b"/only/", "only"),
        (b"x.b.test", b"/other", None),
        (b"test", b"/", None),
        (b"other", b"/", None),
        (b"", b"/", None),
        (b"[::1]:80", b"/", None),
    ],
)
def test_finds(host: bytes, target: bytes, service: str | None) -> None:
    assert found(table(), host, target) == service


def test_a_route_for_all_hosts_comes_last() -> None:
    full = table(("*", "/", "all"))
    assert [found(full, h) for h in (b"other", b"", b"[::1]:80", b"c.test")] == ["all", "all", "all", "star"]


def test_of_two_equal_routes_the_older_one_holds_as_long_as_it_is_there() -> None:
    old, late, later = place(1, "a.test", "/x", "old"), place(2, "A.test", "/x/", "late"), place(3, "a.test", "x", "3")
    full = Table([later, late, old])
    assert found(full, b"a.test", b"/x") == "old"
    full.change([old], [])
    assert found(full, b"a.test", b"/x") == "late"
    full.change([late], [old])
    assert found(full, b"a.test", b"/x") == "old"
    full.change([old], [])
    assert found(full, b"a.test", b"/x") == "3"
    full.change([later], [])
    assert found(full, b"a.test", b"/x") is None
    assert (full.hosts, full._later) == ({}, {})


def test_a_change_leaves_other_hosts_as_they_are() -> None:
    full = table()
    before = dict(full.hosts)
    full.change([], [place(99, "a.test", "/new", "new")])
    assert found(full, b"a.test", b"/new/x") == "new"
    assert {host for host in before if full.hosts[host] is not before[host]} == {b"a.test"}

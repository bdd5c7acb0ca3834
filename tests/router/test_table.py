"""Which route a host and a path find."""

import pytest

from flynn.core.model import Route
from flynn.router.table import build

ROUTES = [
    ("a.test", "/", "a"),
    ("A.test", "/api/", "api"),
    ("a.test", "/api/v2", "v2"),
    ("*.test", "/", "star"),
    ("*.b.test", "/", "bstar"),
    ("x.b.test", "/only", "only"),
    ("Dot.Test.", "/", "dot"),
]


def table(*more: tuple[str, str, str]):  # type: ignore[no-untyped-def]
    rows = [*ROUTES, *more]
    return build(
        [Route(id=str(n), domain=d, path=p, service=s, created=n) for n, (d, p, s) in enumerate(rows)],
        lambda route: route.service,
    )


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
    assert table().find(host, target) == service


def test_a_route_for_all_hosts_comes_last() -> None:
    found = table(("*", "/", "all"))
    assert [found.find(h, b"/") for h in (b"other", b"", b"[::1]:80", b"c.test")] == ["all", "all", "all", "star"]


def test_of_two_equal_routes_the_older_one_holds() -> None:
    assert table(("a.test", "/", "late")).find(b"a.test", b"/") == "a"

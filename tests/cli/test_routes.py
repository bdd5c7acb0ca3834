"""The verbs about routes: what they ask of the grid, and how they look."""

import json
from pathlib import Path

import pytest

from flynn.cli.app import answer
from flynn.cli.routes import split
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

SHOP = {
    "id": "aaaa0001", "service": "hello-web", "app": "hello", "domain": "shop.example.com", "path": "/cart",
    "created": T0, "sticky": True, "idle_timeout": 90.0, "body_limit": 10 << 20, "max_in_flight": 100, "queue": 20,
    "pages": {"error": "<p>oh</p>", "503": "x" * 1200},
}  # fmt: skip
DB = {"id": "aaaa0002", "service": "db", "app": "hello", "kind": "tcp", "port": 5432, "created": T0, "leader": True}


@pytest.fixture(autouse=True)
def _routes(grid: FakeGrid) -> None:
    grid.routes = [SHOP, DB, {"id": "aaaa0003", "service": "hello-web", "domain": "localhost", "maintenance": True}]


async def test_the_table_of_routes(flynn: Shell) -> None:
    assert (await flynn("route")).out == (
        "ID        KIND  ROUTE                  SERVICE    OPTIONS\n"
        "aaaa0001  http  shop.example.com/cart  hello-web  sticky, idle timeout 90 s, body limit 10 MiB, "
        "max in flight 100, queue 20, page 503, page error\n"
        "aaaa0002  tcp   port 5432              db         leader\n"
        "aaaa0003  http  localhost              hello-web  maintenance\n"
    )
    assert [route["port"] for route in json.loads((await flynn("route", "--json")).out)] == [0, 5432, 0]


@pytest.mark.parametrize("which", ["aaaa0001", "shop.example.com/cart", "https://SHOP.example.com./cart/"])
async def test_one_route_is_shown_however_it_is_named(flynn: Shell, which: str) -> None:
    assert (await flynn("route", "show", which)).out == (
        "=== shop.example.com/cart\n"
        "id             aaaa0001\nkind           http\nservice        hello-web\napp            hello\n"
        "created        2026-11-18 11:06:40 UTC\nsticky         on\nidle timeout   90 s\nbody limit     10 MiB\n"
        "max in flight  100\nqueue          20\npage 503       1.2 kB\npage error     9 B\n"
    )


async def test_a_tcp_route_is_named_by_its_port(flynn: Shell) -> None:
    assert (await flynn("route", "show", "5432")).out.startswith("=== port 5432\n")
    gone = await flynn("route", "remove", "5432")
    assert (gone.code, gone.out) == (0, "Removing port 5432... done\n")


@pytest.mark.parametrize("which", ["nosuch.example.com", "shop.example.com", "80", "0", "bbbb0001"])
async def test_a_route_that_is_not_there(flynn: Shell, which: str) -> None:
    done = await flynn("route", "show", which)
    assert done.code == 1
    assert which in done.err


async def test_all_options_reach_the_grid(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    page = tmp_path / "sorry.html"
    page.write_text("<p>entschuldige, später</p>")
    done = await flynn(
        "route", "add", "http", "http://www.example.com/api", "-s", "api", "--sticky", "--no-leader",
        "--connect-timeout", "2", "--first-byte-timeout", "60", "--idle-timeout", "0.5", "--body-timeout", "120",
        "--body-limit", "10M", "--max-in-flight", "100", "--queue", "20", "--page", f"503={page}", "--page", "404=",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "Adding www.example.com/api to hello... done, 1a2b3c4d\n"), done.err
    wanted = {
        "domain": "www.example.com", "path": "/api", "service": "api", "sticky": True, "leader": False,
        "connect_timeout": 2, "first_byte_timeout": 60, "idle_timeout": 0.5, "body_timeout": 120,
        "body_limit": 10 << 20, "max_in_flight": 100, "queue": 20,
        "pages": {"503": "<p>entschuldige, später</p>", "404": ""},
    }  # fmt: skip
    assert grid.asked == [("POST", "/v1/apps/hello/routes", wanted)]


async def test_only_what_is_given_is_asked_for(grid: FakeGrid, flynn: Shell) -> None:
    await flynn("route", "add", "http", "example.com")
    tcp = await flynn("route", "add", "tcp", "-s", "db")
    assert tcp.out == "Adding port 3000 to hello... done, 1a2b3c4d\n"
    await flynn("route", "add", "tcp", "-p", "5432", "--leader", "--max-in-flight", "5")
    done = await flynn("route", "set", "shop.example.com/cart", "--no-sticky", "--queue", "0", "--maintenance")
    assert done.out == "Changing shop.example.com/cart... done\n"
    await flynn("route", "set", "aaaa0002", "--idle-timeout", "60", "--json")
    assert [(path, wanted) for _, path, wanted in grid.asked] == [
        ("/v1/apps/hello/routes", {"domain": "example.com", "path": "/"}),
        ("/v1/apps/hello/routes", {"kind": "tcp", "service": "db"}),
        ("/v1/apps/hello/routes", {"kind": "tcp", "port": 5432, "leader": True, "max_in_flight": 5}),
        ("/v1/routes/aaaa0001", {"sticky": False, "queue": 0, "maintenance": True}),
        ("/v1/routes/aaaa0002", {"idle_timeout": 60}),
    ]


async def test_maintenance_of_all_http_routes(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    page = tmp_path / "soon.html"
    page.write_text("<p>soon</p>")
    done = await flynn("maintenance", "on", "--page", str(page))
    assert (done.code, done.out) == (0, "Maintenance of hello is on, for 3 routes\n")
    assert len(json.loads((await flynn("maintenance", "off", "--json")).out)) == 3
    assert grid.asked == [
        ("PATCH", "/v1/apps/hello/routes", {"maintenance": True, "pages": {"maintenance": "<p>soon</p>"}}),
        ("PATCH", "/v1/apps/hello/routes", {"maintenance": False}),
    ]


async def test_pages_that_cannot_be_read(flynn: Shell, tmp_path: Path) -> None:
    (tmp_path / "raw.html").write_bytes(b"\xff")
    (tmp_path / "huge.html").write_bytes(b"x" * (1 << 20))
    for name, told in (("raw", "no text in UTF-8"), ("huge", "far too large"), ("none", "No such file")):
        done = await flynn("route", "set", "aaaa0001", "--page", f"503={tmp_path / name}.html")
        assert (done.code, told in done.err) == (1, True), done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["route", "set", "aaaa0001"], "no option is given"),
        (["route", "set", "aaaa0001", "--idle-timeout", "nan"], "'nan' is no time: write seconds"),
        (["route", "set", "aaaa0001", "--idle-timeout", "-1"], "'-1' is no time"),
        (["route", "set", "aaaa0001", "--body-limit", "10MB"], "'10MB' is no size"),
        (["route", "set", "aaaa0001", "--queue", "many"], "'many' is no number"),
        (["route", "set", "aaaa0001", "--page", "503"], "write 503=FILE"),
        (["route", "add", "tcp", "--sticky"], "--sticky"),
        (["route", "add", "udp"], "it has: http, tcp"),
        (["maintenance", "off", "--page", "x"], "--page goes with 'on'"),
        (["maintenance"], "on|off"),
    ],
)
def test_wrong_usage(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYNN_APP", "hello")
    assert answer(words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("a.com", ("a.com", "/")),
        ("a.com/", ("a.com", "/")),
        ("https://a.com/b/c", ("a.com", "/b/c")),
        ("*", ("*", "/")),
    ],
)
def test_host_and_path(where: str, parts: tuple[str, str]) -> None:
    assert split(where) == parts

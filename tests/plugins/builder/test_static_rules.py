"""static.json: what it says of a site, what it may not say, and that the server does so."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.builder.building import answer, build, started, write_app
from tests.plugins.builder.test_buildpacks import load_pack

static_rules = load_pack("static", "static_rules")

BAD = {
    "{": "not well formed: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    "[]": 'no JSON object; write {"root": "public"}, for example',
    '{"rot": 1}': "'rot' is not known; there are root, clean_urls, https_only, error_page, routes, redirects, headers",
    '{"proxies": {}}': "proxies are not made here; give the path to another app: flynn route add",
    '{"root": 1}': "root is not a text: 1",
    '{"root": "../x"}': "root leads out of the app",
    '{"clean_urls": "yes"}': "clean_urls is not true or false: 'yes'",
    '{"routes": []}': "routes is no object; it begins with { and has a path as each key",
    '{"routes": {"/**": 1}}': "routes: '/**' names no file; write index.html, for example",
    '{"redirects": {"/a": {"url": "/b", "status": 200}}}': "redirects: '/a' says no place and status; write "
    '{"url": "/new", "status": 301}, for example',
    '{"headers": {"/": "x"}}': 'headers: \'/\' is no object; write {"Cache-Control": "no-store"}, for example',
    '{"headers": {"/": {"A b": "x"}}}': "headers: '/': 'A b' is no header of HTTP with a text in one line",
    '{"headers": {"/": {"A": "x\\r\\nB: y"}}}': "headers: '/': 'A' is no header of HTTP with a text in one line",
    '{"headers": {"/": {"A": "\u20ac"}}}': "headers: '/': 'A' is no header of HTTP with a text in one line",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(static_rules.Wrong) as found:
        static_rules.read(text)
    assert str(found.value).removeprefix("static.json").removeprefix(":").strip() in (BAD[text], f"is {BAD[text]}")


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/**", ["/", "/a/b"], []),
        ("/*.html", ["/a.html", "/.html"], ["/a/b.html", "/a.htm"]),
        ("/a/**", ["/a/", "/a/b/c"], ["/a", "/ab"]),
        ("a.b", ["/a.b"], ["/axb", "a.b"]),
    ],
)
def test_patterns(pattern: str, inside: list[str], outside: list[str]) -> None:
    compiled = static_rules.pattern(pattern)
    assert [bool(compiled.fullmatch(path)) for path in inside + outside] == [True] * len(inside) + [False] * len(
        outside
    )


def test_of_two_headers_of_one_name_the_last_counts() -> None:
    headers = {"/**": {"Cache-Control": "a", "X-A": "1"}, "/assets/*": {"cache-control": "b"}}
    _, rules = static_rules.read(json.dumps({"headers": headers}))
    assert rules.headers_of("/assets/x.js") == {"cache-control": "b", "X-A": "1"}
    assert rules.headers_of("/x.js") == {"Cache-Control": "a", "X-A": "1"}


SITE: Mapping[str, Any] = {
    "root": "dist/",
    "clean_urls": True,
    "https_only": True,
    "error_page": "errors/404.html",
    "routes": {"/app/**": "/index.html"},
    "redirects": {"/old": {"url": "/new?a=b", "status": 302}, "/gone/*": {"url": "https://example.com/"}},
    "headers": {"/assets/**": {"Cache-Control": "public, max-age=31536000"}, "/": {"X-Frame-Options": "DENY"}},
}
FILES = {
    "static.json": json.dumps(SITE), "index.html": "outside", "dist/index.html": "home", "dist/about.html": "about",
    "dist/assets/a.js": "1", "dist/errors/404.html": "not here", "dist/app/own.html": "own",
}  # fmt: skip


async def test_a_site_of_one_page_with_all_of_it(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await build(write_app(tmp_path / "app", FILES), kit, cache)
    assert built.code == 0, built.text
    assert built.result["processes"] == {"web": "python3 .static/server.py dist"}
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:

        async def get(path: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
            return await answer(url, lines, path, headers=headers)

        status, body, headers = await get("/")
        assert (status, body, headers["X-Frame-Options"], headers["Cache-Control"]) == (200, "home", "DENY", "no-cache")
        assert (await get("/about"))[:2] == (200, "about")
        assert (await get("/app/some/view"))[:2] == (200, "home")
        assert (await get("/app/own.html"))[:2] == (200, "own")
        status, body, headers = await get("/assets/a.js")
        assert (status, headers.getall("Cache-Control")) == (200, ["public, max-age=31536000"])  # type: ignore[attr-defined]
        assert (await get("/nowhere"))[:2] == (404, "not here")
        status, _, headers = await get("/old")
        assert (status, headers["Location"]) == (302, "/new?a=b")
        assert (await get("/gone/x"))[2]["Location"] == "https://example.com/"
        status, _, headers = await get("/about?a=1", **{"X-Forwarded-Proto": "http", "Host": "site.example"})
        assert (status, headers["Location"]) == (301, "https://site.example/about?a=1")
        assert (await get("/about", **{"X-Forwarded-Proto": "https"}))[0] == 200


async def test_what_is_wrong_ends_the_build(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await build(write_app(tmp_path / "app", {"static.json": '{"root": "build"}', "index.html": ""}), kit, cache)
    assert built.last == (
        " !     the directory build of static.json is not there; static.json says by its root where the pages are"
    )
    built = await build(write_app(tmp_path / "bad", {"static.json": '{"roots": "."}', "index.html": ""}), kit, cache)
    assert built.last.startswith(" !     static.json: 'roots' is not known; ")

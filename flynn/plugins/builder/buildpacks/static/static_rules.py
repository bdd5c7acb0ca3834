"""What `static.json` says of a site beside its files: `read` judges it, `Rules` answer for a path. Pure.

Keys and patterns are those of Heroku's buildpack for static sites: `*` in a pattern stands for one segment of a path,
`**` for any number of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEYS = ("root", "clean_urls", "https_only", "error_page", "routes", "redirects", "headers")
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
CODES = (301, 302, 303, 307, 308)

Pattern = tuple["re.Pattern[str]", Any]


class Wrong(Exception):
    """The file says what cannot be; the text is a sentence."""


@dataclass(frozen=True)
class Rules:
    """In the order of the file. A path is as the visitor asks for it, decoded."""

    clean_urls: bool = False
    https_only: bool = False
    error_page: str = "404.html"
    routes: tuple[Pattern, ...] = ()
    redirects: tuple[Pattern, ...] = ()
    headers: tuple[Pattern, ...] = field(default=())

    def redirect(self, path: str) -> tuple[int, str] | None:
        """Where a path leads to, and by which status."""
        found: tuple[int, str] | None = next((to for pattern, to in self.redirects if pattern.fullmatch(path)), None)
        return found

    def route(self, path: str) -> str:
        """The file for a path that names none itself; empty: there is none."""
        return next((str(file) for pattern, file in self.routes if pattern.fullmatch(path)), "")

    def headers_of(self, path: str) -> dict[str, str]:
        """Headers of the answer; of two of one name the last counts."""
        found: dict[str, tuple[str, str]] = {}
        for pattern, headers in self.headers:
            if pattern.fullmatch(path):
                found.update({name.lower(): (name, value) for name, value in headers.items()})
        return dict(found.values())


def read(text: str) -> tuple[str, Rules]:
    """The root ("": not said), and the rest. Wrong: what is no good, and what would be."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise Wrong(f"static.json is not well formed: {error}") from None
    if not isinstance(said, dict):
        raise Wrong('static.json is no JSON object; write {"root": "public"}, for example')
    for key in said:
        if key == "proxies":
            raise Wrong("static.json: proxies are not made here; give the path to another app: flynn route add")
        if key not in KEYS:
            raise Wrong(f"static.json: {key!r} is not known; there are {', '.join(KEYS)}")
    root = str(_one(said, "root", str, "")).strip("/")
    if ".." in root.split("/"):
        raise Wrong("static.json: root leads out of the app")
    rules = Rules(
        clean_urls=_one(said, "clean_urls", bool, False),
        https_only=_one(said, "https_only", bool, False),
        error_page=str(_one(said, "error_page", str, "404.html")).strip("/"),
        routes=tuple((pattern(path), _file(path, to)) for path, to in _table(said, "routes")),
        redirects=tuple((pattern(path), _redirect(path, to)) for path, to in _table(said, "redirects")),
        headers=tuple((pattern(path), _headers(path, to)) for path, to in _table(said, "headers")),
    )
    return root, rules


def pattern(path: str) -> re.Pattern[str]:
    """A pattern of a path as a regular expression."""
    parts = re.split(r"(\*\*|\*)", path if path.startswith("/") else f"/{path}")
    meaning = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _one(said: Mapping[str, Any], key: str, kind: type, usual: Any) -> Any:
    value = said.get(key, usual)
    if not isinstance(value, kind):
        raise Wrong(f"static.json: {key} is not {'true or false' if kind is bool else 'a text'}: {value!r:.60}")
    return value


def _table(said: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    value = said.get(key, {})
    if not isinstance(value, dict):
        raise Wrong(f"static.json: {key} is no object; it begins with {{ and has a path as each key")
    return list(value.items())


def _file(path: str, to: object) -> str:
    if isinstance(to, dict) and set(to) == {"path"}:
        to = to["path"]
    if not isinstance(to, str) or not to.strip("/"):
        raise Wrong(f"static.json: routes: {path!r} names no file; write index.html, for example")
    return "/" + to.strip("/")


def _redirect(path: str, to: object) -> tuple[int, str]:
    url, code = (to.get("url"), to.get("status", 301)) if isinstance(to, dict) else (to, 301)
    if not isinstance(url, str) or not url or not VALUE.fullmatch(url) or code not in CODES:
        shown = '{"url": "/new", "status": 301}'
        raise Wrong(f"static.json: redirects: {path!r} says no place and status; write {shown}, for example")
    return code, url


def _headers(path: str, to: object) -> dict[str, str]:
    if not isinstance(to, dict):
        raise Wrong(f'static.json: headers: {path!r} is no object; write {{"Cache-Control": "no-store"}}, for example')
    for name, value in to.items():
        if not NAME.fullmatch(name) or not isinstance(value, str) or not VALUE.fullmatch(value):
            raise Wrong(f"static.json: headers: {path!r}: {name!r} is no header of HTTP with a text in one line")
    return dict(to)

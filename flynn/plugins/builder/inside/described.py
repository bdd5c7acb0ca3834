"""What the source says of its process types beside their commands: `flynn.toml` or `flynn.json`, handed on as is."""

from __future__ import annotations

import os

from . import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

NAME = "flynn.json"
TOML = "flynn.toml"
LIMIT = 32 * 1024
"""Bytes of the file."""


def read_described(app: str) -> tuple[str, dict[str, Any]]:
    """The file's name, and what it says, {} where there is none. BuildFailed: it is no good, or there are both.

    What it says is judged where the release is made.
    """
    data, toml = _read(app, NAME), _read(app, TOML)
    if data is not None and toml is not None:
        raise BuildFailed(f"there are {TOML} and {NAME}; write all of it in one of them")
    return (TOML, _toml(toml)) if toml is not None else (NAME, {} if data is None else _json(data))


def _read(app: str, name: str) -> bytes | None:
    try:
        with open(os.path.join(app, name), "rb") as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BuildFailed(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > LIMIT:
        raise BuildFailed(f"{name} has over {LIMIT // 1024} KiB; it only describes process types")
    return data


def _toml(data: bytes) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        raise BuildFailed(f"{TOML} needs Python 3.11 on the host that builds; write it as {NAME}") from None
    try:
        import json

        found = tomllib.loads(data.decode("utf-8"))
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise BuildFailed(f"{TOML} is not well formed: {error}") from None
    except RecursionError:
        raise BuildFailed(f"{TOML} is not well formed: it is too deep") from None
    return found


def _json(data: bytes) -> dict[str, Any]:
    import json

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

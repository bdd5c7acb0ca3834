"""The bodies of requests: JSON, made the record that a handler wants, or refused with what is wrong."""

import json
import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from flynn.core.errors import Invalid

BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body where the handler reads it whole. A handler that streams has its own limit."""

ROUTE: Any = web.RequestKey("route", object) if hasattr(web, "RequestKey") else "flynn.route"
"""The route of a request."""

T = TypeVar("T")


async def body(request: web.Request, wanted: type[T]) -> T:
    """The request's JSON body as a `wanted`, which is what its route takes. Invalid says what is wrong with it.

    An empty body counts as `{}`.
    """
    if request[ROUTE].takes != wanted:
        raise TypeError(f"{request.method} {request.path} reads {wanted}, but its route does not say so")
    raw = await request.read() or b"{}"
    try:
        told = msgspec.json.decode(raw, type=wanted)
        json.loads(raw, object_pairs_hook=_once_each)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        text = str(error) if not isinstance(error, RecursionError) else "it is too deep"
        why = f"{text}{_known(wanted, text)}"
        raise Invalid(f"the body is not what {request.method} {request.path} takes: {why}", **_field(text)) from None
    return told


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    """ValueError: a name comes twice, and nobody knows which of them is meant."""
    names = set()
    for name, _ in pairs:
        if name in names:
            raise ValueError(f"`{name[:40]}` is in it twice")
        names.add(name)


def _known(wanted: Any, error: str) -> str:
    """The fields that a body may have, if the error is that it has another."""
    if "unknown field" not in error or " - at " in error:
        return ""
    return f"; known are: {', '.join(wanted.__struct_encode_fields__)}"


def _field(error: str) -> dict[str, str]:
    """Where in the body msgspec found what is wrong, as detail of an error: `counts.web`."""
    found = re.search(r" - at `(?:key in )?\$\.?(.*)`$", error) or re.search(r"field `([^`]*)`", error)
    return {"field": found[1]} if found else {}

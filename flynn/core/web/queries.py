"""What is asked in the query of a URL, made the struct that a route declares. What it does not declare is refused: who
asks for something shall not believe that it was heard."""

import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from flynn.core.errors import Invalid

QUERY: Any = web.RequestKey("query", msgspec.Struct) if hasattr(web, "RequestKey") else "flynn.query"
"""The query of a request as its route declares it."""

Q = TypeVar("Q", bound=msgspec.Struct)


def query(request: web.Request, wanted: type[Q]) -> Q:
    """What is asked. `wanted` is the route's own."""
    found = request.get(QUERY)
    if not isinstance(found, wanted):
        raise TypeError(f"{request.method} {request.path} reads {wanted.__name__}, but its route does not declare it")
    return found


def parsed(request: web.Request, wanted: type[Q]) -> Q:
    """The query as a `wanted`. Invalid: a name that is not in it, or comes twice, or a value that is no good."""
    given, known = request.query, wanted.__struct_encode_fields__
    for name in given:
        if name not in known:
            told = f"the query of {request.method} {request.path} has no {name[:40]!r}; known are: "
            raise Invalid(told + (", ".join(known) or "none"), query=name[:40], known=list(known))
        if len(given.getall(name)) > 1:
            raise Invalid(f"{name} is asked for twice; write it once", query=name)
    try:
        return msgspec.convert(dict(given), wanted, strict=False)
    except msgspec.ValidationError as error:
        raise _no_good(str(error), given) from None


def _no_good(error: str, given: Any) -> Invalid:
    why, _, at = error.partition(" - at `$.")
    name = at.rstrip("`")
    if not name:
        name = found[1] if (found := re.search("`(.*)`", error)) else ""
        return Invalid(f"the query needs {name}", query=name)
    why = "write true or false" if "`bool`" in why else f"{why[:1].lower()}{why[1:]}"
    return Invalid(f"{name}={given[name][:40]} is no good: {why}", query=name)

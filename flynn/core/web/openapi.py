"""The OpenAPI document of the node API, made of its routes: OpenAPI 3.1.0, https://spec.openapis.org/oas/v3.1.0."""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from flynn.core.errors import Conflict, Full, NotFound
from flynn.core.web.route import SOCKET, Route, Stream

JSON = "application/json"
ANY = (400, 401, 413, 414, 415, 417, 422, 429, 431, 500, 503)
"""Errors of any route: the request is no good, nobody who may, or the grid is not able to answer now."""

Schema = dict[str, Any]


class Problem(msgspec.Struct):
    """An error. `message` is for people, `detail` for programs; with `retry` the same call may succeed later."""

    code: str
    message: str
    detail: dict[str, Any]
    retry: bool


def document(routes: Iterable[Route], version: str) -> Schema:
    """All that a program must know to call these routes."""
    ordered = sorted(routes, key=lambda route: (route.path, route.method))
    types = [Problem, *dict.fromkeys(kind for route in ordered for kind in _types(route))]
    shown, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(types, shown, strict=True))
    paths: dict[str, Schema] = {}
    for route in ordered:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    errors = sorted({*ANY, NotFound.status, Conflict.status, Full.status, *_declared(ordered)})
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "flynn", "version": version, "description": "The node API of flynn: docs/api.md."},
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": schemes,
            "responses": {f"E{status}": _refusal(status) for status in errors},
        },
    }


def accepted(route: Route) -> tuple[Any, ...]:
    """What the route may give, one by one."""
    return route.gives if isinstance(route.gives, tuple) else (route.gives,)


def refusals(route: Route) -> set[int]:
    """The statuses of its errors."""
    found = {*ANY, *(error.status for error in route.errors)}
    if "{" in route.path:
        found.add(NotFound.status)
    if route.method not in ("GET", "HEAD"):
        found |= {NotFound.status, Conflict.status, Full.status}
    return found - ({401, 429} if route.open else set())


def _types(route: Route) -> Iterator[Any]:
    for kind in (*accepted(route), route.takes):
        if not isinstance(kind, Stream) and kind is not None:
            yield kind
        elif isinstance(kind, Stream) and kind.line:
            yield kind.line


def _declared(routes: Iterable[Route]) -> Iterator[int]:
    return (error.status for route in routes for error in route.errors)


def _operation(route: Route, schemas: Mapping[Any, Schema]) -> Schema:
    told: Schema = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()} {route.path}").strip("_"),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if words := (route.handler.__doc__ or "").strip():
        told["description"] = re.sub(r"\s+", " ", words)
    if route.takes is not None:
        told["requestBody"] = {"required": _needed(route.takes), "content": _content(route.takes, schemas)}
    return told | ({"security": []} if route.open else {})


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _path_parameters(route: Route) -> list[Schema]:
    schema = {"type": "string", "minLength": 1}
    return [{"name": n, "in": "path", "required": True, "schema": schema} for n in re.findall(r"\{(\w+)\}", route.path)]


def _query_parameters(route: Route) -> list[Schema]:
    if route.query is None:
        return []
    told = msgspec.json.schema(route.query)
    told = told["$defs"][told["$ref"].rpartition("/")[2]]
    needed = told.get("required", ())
    return [{"name": n, "in": "query", "required": n in needed, "schema": s} for n, s in told["properties"].items()]


def _header_parameters(route: Route) -> list[Schema]:
    """`core/once.py` and `core/version.py`."""
    told = []
    if route.method == "POST":
        told.append(("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}))
    elif route.versioned and route.method != "GET":
        told.append(("If-Match", {"type": "string", "pattern": '^"[0-9]{1,18}"$'}))
    return [{"name": name, "in": "header", "required": False, "schema": schema} for name, schema in told]


def _responses(route: Route, schemas: Mapping[Any, Schema]) -> Schema:
    good: Schema = {}
    for status in (route.status, *route.also):
        good[str(status)] = {"description": HTTPStatus(status).phrase}
        if status not in (304, 416) and route.method != "HEAD" and route.gives is not SOCKET:
            content: Schema = {}
            for kind in accepted(route):
                content |= _content(kind, schemas)
            good[str(status)]["content"] = content
            if route.versioned and route.method == "GET":
                good[str(status)]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    bad = {str(status): {"$ref": f"#/components/responses/E{status}"} for status in sorted(refusals(route))}
    return {**bad, **good}


def _content(kind: Any, schemas: Mapping[Any, Schema]) -> Schema:
    if not isinstance(kind, Stream):
        return {JSON: {"schema": schemas[kind]}}
    schema: Schema = {"type": "string"}
    if kind.line:
        schema |= {"description": "JSON, line by line", "contentSchema": schemas[kind.line]}
    return {media: {"schema": schema} for media in kind.media}


def _needed(takes: Any) -> bool:
    """Whether a body must come: an empty one counts as `{}`."""
    if isinstance(takes, Stream):
        return True
    fields = msgspec.structs.fields(takes) if hasattr(takes, "__struct_fields__") else ()
    return any(field.required for field in fields)


def _refusal(status: int) -> Schema:
    told: Schema = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    name = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(status)
    return told | ({"headers": {name: {"schema": {"type": "string"}}}} if name else {})

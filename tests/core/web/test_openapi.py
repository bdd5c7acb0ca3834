"""The OpenAPI document: made of routes, and whole."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from flynn.core.errors import Exists, TooMany
from flynn.core.web import BYTES, EVENTS, LINES, SOCKET, Route, answer
from flynn.core.web.openapi import document


class Thing(msgspec.Struct):
    """Something."""

    name: str
    inner: "Thing | None" = None


class NewThing(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, msgspec.Meta(ge=1)] = 1


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: Annotated[int, msgspec.Meta(ge=0, le=100)] = 7
    position: str = msgspec.field(default="", name="from")


async def handler(request: web.Request) -> web.Response:
    """Says
    more."""
    return answer(None)


ROUTES = [
    Route("GET", "/v1/things", handler, "all things", list[Thing], query=Which),
    Route("POST", "/v1/things", handler, "make one", Thing, NewThing, status=201, errors=(Exists, TooMany)),
    Route("GET", "/v1/things/{id}", handler, "one thing", (Thing, EVENTS)),
    Route("PUT", "/v1/things/{id}", handler, "its bytes", dict[str, int], BYTES, status=201, also=(200,)),
    Route("PATCH", "/v1/things/{id}", handler, "change it", LINES, dict[str, int]),
    Route("GET", "/v1/things/{id}/attach", handler, "attach", SOCKET, status=101),
    Route("HEAD", "/v1/blob", handler, "whether", BYTES, also=(304,)),
    Route("GET", "/health", handler, "up?", Any, open=True),
]
TOLD = document(ROUTES, "1.2.3")


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "$ref" and isinstance(inner, str))
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_is_json_and_all_that_it_refers_to_is_there() -> None:
    assert msgspec.json.decode(msgspec.json.encode(TOLD)) == TOLD
    found = set(references(TOLD))
    assert "#/components/schemas/Thing" in found
    for path in found:
        at: Any = TOLD
        for part in path.removeprefix("#/").split("/"):
            at = at[part]


def test_each_route_is_there_with_what_it_takes_and_gives() -> None:
    paths = TOLD["paths"]
    assert {(method.upper(), path) for path, told in paths.items() for method in told} == {
        (route.method, route.path) for route in ROUTES
    }
    listed = paths["/v1/things"]["get"]
    assert (listed["summary"], listed["description"], listed["tags"]) == ("all things", "Says more.", ["things"])
    assert listed["parameters"] == [
        {
            "name": "n",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 0, "maximum": 100, "default": 7},
        },
        {"name": "from", "in": "query", "required": False, "schema": {"type": "string", "default": ""}},
    ]
    made = paths["/v1/things"]["post"]
    assert made["requestBody"]["required"] is True
    assert made["responses"]["201"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}
    }
    assert {"401", "409", "413", "422", "429", "503", "507"} <= set(made["responses"])
    assert "404" not in listed["responses"]
    assert set(paths["/v1/things/{id}"]["get"]["responses"]["200"]["content"]) == {
        "application/json", "text/event-stream"
    }  # fmt: skip
    assert paths["/v1/things/{id}"]["patch"]["requestBody"]["required"] is False
    put = paths["/v1/things/{id}"]["put"]
    assert set(put["requestBody"]["content"]) == {"application/octet-stream"}
    assert {"200", "201", "404"} <= set(put["responses"])
    assert "content" not in paths["/v1/things/{id}/attach"]["get"]["responses"]["101"]
    assert "content" not in paths["/v1/blob"]["head"]["responses"]["200"]


def test_an_open_route_needs_no_token() -> None:
    told = TOLD["paths"]["/health"]["get"]
    assert told["security"] == []
    assert "401" not in told["responses"]
    assert "security" not in TOLD["paths"]["/v1/things"]["get"]
    assert TOLD["security"] == [{"bearer": []}, {"basic": []}]

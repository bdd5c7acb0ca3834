"""A route of the node API: what is asked, what answers it, and what it says of both.

What it says is what holds: the server refuses a query that is not declared, `body` takes the type that is, and
`GET /v1/openapi.json` is made of it (`core/web/openapi.py`).
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from flynn.core.errors import FlynnError

Handler = Callable[..., Awaitable[web.StreamResponse]]


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing can be asked in the URL's query."""


class Stream(msgspec.Struct, frozen=True):
    """A body that is no single JSON value, in the media types it may have. `line`: what each JSON line of it is."""

    media: tuple[str, ...]
    line: Any = None


LINES = Stream(("application/x-ndjson",), dict[str, Any])
EVENTS = Stream(("text/event-stream",))
TEXT = Stream(("text/plain",))
BYTES = Stream(("application/octet-stream",))
SOCKET = Stream(())
"""A WebSocket: the answer is 101, and no body."""


class Route(msgspec.Struct, frozen=True):
    """One method and path template, and what answers it.

    `summary` says in a few words what it does. `gives` is the type of its JSON answer, or a Stream, or a tuple of what
    it may be by Accept; `status` comes with it, or one of `also`. `takes` is the type of its JSON body (None: it has
    none), or a Stream that the handler takes piece by piece. `query` is a struct whose fields are what the URL's query
    may have; others are refused (None: the handler looks at it itself). `errors`: those that not any route may answer
    with. `open`: it needs no token. `packed`: its body may come encoded with gzip, which its handler unpacks.
    `versioned`: it tells the version of what it shows (ETag), or takes one (If-Match).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    gives: Any
    takes: Any = None
    query: type[msgspec.Struct] | None = NoQuery
    status: int = 200
    also: tuple[int, ...] = ()
    errors: tuple[type[FlynnError], ...] = ()
    open: bool = False
    packed: bool = False
    versioned: bool = False

    @property
    def streams(self) -> bool:
        """Whether the handler takes the body piece by piece."""
        return isinstance(self.takes, Stream)

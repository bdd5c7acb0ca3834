"""A route of the node API."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

Handler = Callable[..., Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, frozen=True):
    """One method and path template, and what answers it. `streams`: the handler takes the body piece by piece."""

    method: str
    path: str
    handler: Handler
    open: bool = False
    streams: bool = False

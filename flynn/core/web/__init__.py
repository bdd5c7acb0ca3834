"""The node API: one HTTP server a daemon, to which each brick adds its routes while it runs.

A handler is `async def handler(request, **params) -> response`, its params named in the path: `/v1/apps/{app}`. Its
route says what it takes and gives: `Route("GET", "/v1/apps/{app}/jobs", jobs, "its jobs", list[JobInfo], query=Which)`.
Every route needs the grid's token (`Authorization: Bearer TOKEN`, or as the password of basic auth) but those added
with `open=True`. A FlynnError becomes its status and `{"code", "message", "detail", "retry"}`.
"""

from flynn.core.web.answers import Writer, answer, lines, plain, send_line, write_soon
from flynn.core.web.bodies import BODY_LIMIT, body
from flynn.core.web.problem import problem
from flynn.core.web.queries import query
from flynn.core.web.route import BYTES, EVENTS, LINES, SOCKET, TEXT, Handler, NoQuery, Route, Stream
from flynn.core.web.server import Web

__all__ = [
    "BODY_LIMIT",
    "BYTES",
    "EVENTS",
    "LINES",
    "SOCKET",
    "TEXT",
    "Handler",
    "NoQuery",
    "Route",
    "Stream",
    "Web",
    "Writer",
    "answer",
    "body",
    "lines",
    "plain",
    "problem",
    "query",
    "send_line",
    "write_soon",
]

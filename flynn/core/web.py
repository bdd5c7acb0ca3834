"""The node API: one HTTP server a daemon, to which each brick adds its routes while it runs.

A handler is `async def handler(request, **params) -> response`, its params named in the path: `/v1/apps/{app}`.
Every route needs the grid's token (`Authorization: Bearer TOKEN`, or as the password of basic auth) but those added
with `open=True`. A FlynnError becomes its status and `{"code", "message", "retry"}`.
"""

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from flynn.core.errors import FlynnError, Invalid, NotFound, TooLarge, Unauthorized

log = logging.getLogger(__name__)

server_log = log.getChild("server")
"""What the HTTP server logs by itself, but for requests that are no good HTTP: whoever sent one is told with a 400."""

BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body where the handler reads it whole. A handler that streams has its own limit."""

BEGUN: Any = web.RequestKey("begun", bool) if hasattr(web, "RequestKey") else "flynn.begun"
"""Set on a request once the head of its answer is on the way."""

T = TypeVar("T")
Handler = Callable[..., Awaitable[web.StreamResponse]]


class MethodNotAllowed(FlynnError):
    """The path is right, the method is not; the text names those that are."""

    code = "method_not_allowed"
    status = 405


class Route(msgspec.Struct, frozen=True):
    """One method and path template, and what answers it. `streams`: the handler takes the body piece by piece."""

    method: str
    path: str
    handler: Handler
    open: bool = False
    streams: bool = False


class Web:
    """Routes by path, behind the grid's token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._routes: dict[tuple[str, str], tuple[re.Pattern[str], Route]] = {}

    @contextmanager
    def serving(self, *routes: Route) -> Iterator[None]:
        """Answer these routes for the length of a block."""
        added = {(route.path, route.method): (_pattern(route.path), route) for route in routes}
        for path, method in added:
            if (path, method) in self._routes:
                raise ValueError(f"{method} {path} is served already")
        self._routes |= added
        try:
            yield
        finally:
            for key in added:
                del self._routes[key]

    def application(self) -> web.Application:
        """The aiohttp application that answers for all routes."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_response_prepare.append(_note_begun)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._handled(request)
        except Exception as error:
            if request.get(BEGUN) or request.transport is None or request.transport.is_closing():
                return _broken_off(request, error)
            return _refused(request, error)

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        route, params = self._find(request)
        if not route.open:
            self._check_token(request)
        if not route.streams and (request.content_length or 0) > BODY_LIMIT:
            raise TooLarge(f"the body of {request.content_length} bytes is too large; {BODY_LIMIT} at most here")
        return await route.handler(request, **params)

    def _find(self, request: web.Request) -> tuple[Route, Mapping[str, str]]:
        allowed = []
        for (_, method), (pattern, route) in self._routes.items():
            if found := pattern.fullmatch(request.rel_url.path):
                if method == request.method:
                    return route, found.groupdict()
                allowed.append(method)
        if allowed:
            raise MethodNotAllowed(f"{request.method} is not for {request.path[:200]}; use {', '.join(allowed)}")
        raise NotFound(f"there is nothing at {request.path[:200]}")

    def _check_token(self, request: web.Request) -> None:
        kind, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given = value.strip().encode("utf-8", "replace")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                given = b""
        if not hmac.compare_digest(given, self._token):
            raise Unauthorized(
                "the token is missing or wrong; set FLYNN_TOKEN to the grid's own (in client.json of a daemon's data)"
            )


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


server_log.addFilter(_is_ours)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile("".join(f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)))


def _refused(request: web.Request, error: Exception) -> web.StreamResponse:
    if isinstance(error, FlynnError):
        return problem(error)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem(TooLarge(f"the body is too large; {BODY_LIMIT} bytes at most here"))
    if isinstance(error, web.RequestPayloadError):
        return problem(
            Invalid(f"the body cannot be read: {' '.join(str(error).removeprefix('400, message:').split())}")
        )
    if isinstance(error, web.HTTPException):
        raise error
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(FlynnError("flynn made a mistake here; its log on this node says more"))


def _broken_off(request: web.Request, error: Exception) -> web.StreamResponse:
    """End an answer that cannot be completed: the connection closes without its end, so that the client can tell."""
    if request.transport is not None and not request.transport.is_closing():
        log.error("%s %s broke off: %s", request.method, request.path, error, exc_info=error)
        request.transport.close()
    return web.Response(status=499)  # Nobody reads this, but aiohttp wants an answer.


async def _note_begun(request: web.Request, response: web.StreamResponse) -> None:
    request[BEGUN] = True


def problem(error: FlynnError) -> web.Response:
    """The answer that tells of an error. A 413 closes the connection: the rest of the body is not read."""
    headers = {401: {"WWW-Authenticate": 'Basic realm="flynn"'}, 503: {"Retry-After": "1"}}.get(error.status)
    response = answer({"code": error.code, "message": str(error), "retry": error.retry}, error.status, headers)
    if error.status == 413:
        response.force_close()
    return response


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer; msgspec structs are shown with all their fields."""
    return web.Response(
        body=msgspec.json.encode(plain(value)), status=status, headers=headers, content_type="application/json"
    )


def plain(value: Any) -> Any:
    """The value with structs as dicts of all their fields, also those that the store leaves out as defaults."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


async def body(request: web.Request, wanted: type[T]) -> T:
    """The request's JSON body as a `wanted`; Invalid says what is wrong with it. An empty body counts as `{}`."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = f"{error}{_known(wanted, str(error))}"
        raise Invalid(f"the body is not what {request.method} {request.path} takes: {why}") from None


def _known(wanted: Any, error: str) -> str:
    """The fields that a body may have, if the error is that it has another."""
    if "unknown field" not in error or " - at " in error:
        return ""
    return f"; known are: {', '.join(wanted.__struct_encode_fields__)}"


def number(request: web.Request, name: str, default: int, most: int) -> int:
    """A whole number from the query string, from 0 to `most`; Invalid if it is none."""
    raw = request.query.get(name, str(default))
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 15 or int(raw) > most:
        raise Invalid(f"{name}={raw[:40]} is no good; a whole number from 0 to {most}")
    return int(raw)


async def lines(request: web.Request) -> web.StreamResponse:
    """An answer that will be sent as JSON lines, begun: send each with `send_line`."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
    await response.prepare(request)
    return response


async def send_line(response: web.StreamResponse, value: Any) -> None:
    """One more JSON line of an answer begun with `lines`."""
    await response.write(msgspec.json.encode(plain(value)) + b"\n")

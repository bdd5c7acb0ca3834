"""The node API: one HTTP server a daemon, to which each brick adds its routes while it runs."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import hdrs, web

from flynn import __version__
from flynn.core.errors import FlynnError, NotFound, TooLarge, Unavailable, Unsupported
from flynn.core.records import STALE_SINCE
from flynn.core.web.answers import answer
from flynn.core.web.bodies import BODY_LIMIT, ROUTE
from flynn.core.web.guard import Guard
from flynn.core.web.openapi import document
from flynn.core.web.problem import HttpError, as_flynn_error, problem
from flynn.core.web.queries import QUERY, parsed
from flynn.core.web.route import Route

log = logging.getLogger(__name__)

BEGUN: Any = web.RequestKey("begun", bool) if hasattr(web, "RequestKey") else "flynn.begun"
"""Set on a request once the head of its answer is on the way."""


class Web:
    """Routes by path, behind the grid's token. `clock`: seconds that nobody sets; `stale_since`: since
    when the store is away, if it is; `is_starting`: whether there will be more routes soon."""

    def __init__(
        self,
        token: str,
        clock: Callable[[], float] = time.monotonic,
        stale_since: Callable[[], float | None] = lambda: None,
        is_starting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._guard = Guard(token, clock)
        self._stale_since, self._is_starting = stale_since, is_starting
        self._routes: dict[tuple[str, str], tuple[re.Pattern[str], Route]] = {}
        self._fronts: dict[str, frozenset[tuple[str, str]]] = {}

    @contextmanager
    def serving(self, *routes: Route, front: str = "") -> Iterator[None]:
        """Answer these routes for the length of a block. `front`: a domain by which routers lead here; who comes by it
        sees these routes alone."""
        added = {(route.path, route.method): (_pattern(route.path), route) for route in routes}
        for path, method in added:
            if (path, method) in self._routes:
                raise ValueError(f"{method} {path} is served already")
        self._routes |= added
        if front:
            self._fronts[front] = frozenset(added)
        try:
            yield
        finally:
            self._fronts.pop(front, None)
            for key in added:
                del self._routes[key]

    def described(self) -> Route:
        """The route that tells of all the routes there are at the time, to whoever asks."""

        async def openapi(request: web.Request) -> web.Response:
            return answer(document((route for _, route in self._routes.values()), __version__))

        return Route("GET", "/v1/openapi.json", openapi, "this document", dict[str, Any], open=True)

    def application(self) -> web.Application:
        """The aiohttp application that answers for all routes, and for whatever else is asked."""

        @web.middleware
        async def all(request: web.Request, handler: Any) -> web.StreamResponse:
            return await self._answer(request)

        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[all])
        app.router.add_route("*", "/{path:.*}", self._answer, expect_handler=self._expected)
        app.on_response_prepare.append(self._begins)
        return app

    async def _begins(self, request: web.Request, response: web.StreamResponse) -> None:
        request[BEGUN] = True
        if (since := self._stale_since()) is not None:
            response.headers[STALE_SINCE] = f"{since:.3f}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            route, params = self._admitted(request)
            return await self._handled(route, request, params)
        except Exception as error:
            if request.get(BEGUN) or request.transport is None or request.transport.is_closing():
                return _broken_off(request, error)
            return problem(as_flynn_error(error, request.method, request.path, BODY_LIMIT))

    async def _handled(self, route: Route, request: web.Request, params: Mapping[str, str]) -> web.StreamResponse:
        return await route.handler(request, **params)

    async def _expected(self, request: web.Request) -> web.StreamResponse | None:
        """Before a body is sent that the client asks about (RFC 9110, section 10.1.1): the refusal, or that it may."""
        try:
            if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
                raise HttpError(417, "only 100-continue can be expected here")
            self._admitted(request)
        except FlynnError as error:
            response = problem(error)
            response.force_close()
            return response
        if request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        return None

    def _admitted(self, request: web.Request) -> tuple[Route, Mapping[str, str]]:
        """The route of a request that may be handled, judged by its head alone."""
        route, params = self._find(request)
        if not route.open:
            self._guard.check(request.headers.get(hdrs.AUTHORIZATION, ""), request.remote or "")
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip()
        if encoding.lower() not in ("", "identity", *(("gzip", "x-gzip") if route.packed else ())):
            told = f"a body encoded as {encoding[:40]} is not taken; send it as it is"
            raise Unsupported(told, encoding=encoding[:40])
        if not route.streams and (request.content_length or 0) > BODY_LIMIT:
            raise TooLarge(
                f"the body of {request.content_length} bytes is too large; {BODY_LIMIT} at most here", limit=BODY_LIMIT
            )
        request[ROUTE] = route
        if route.query:
            request[QUERY] = parsed(request, route.query)
        return route, params

    def _find(self, request: web.Request) -> tuple[Route, Mapping[str, str]]:
        allowed, path = [], request.rel_url.path
        seen = self._fronts.get(_domain(request), self._routes.keys())
        for (template, method), (pattern, route) in self._routes.items():
            if (template, method) in seen and (found := pattern.fullmatch(path)):
                if method == request.method:
                    return route, found.groupdict()
                allowed.append(method)
        if allowed:
            told = f"{request.method[:40]} is not for {path[:200]}; use {', '.join(allowed)}"
            raise HttpError(405, told, allow=allowed)
        if self._is_starting():
            raise Unavailable("this node is starting and does not answer that yet; try again in a moment")
        raise NotFound(f"there is nothing at {path[:200]}")


def _domain(request: web.Request) -> str:
    """What the request was sent to, as routers compare it."""
    return re.sub(r":\d*$", "", request.headers.get(hdrs.HOST, "")).lower().rstrip(".")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile("".join(f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)))


def _broken_off(request: web.Request, error: Exception) -> web.StreamResponse:
    """End an answer that cannot be completed: the connection closes without its end, so that the client can tell."""
    if request.transport is not None and not request.transport.is_closing():
        log.error("%s %s broke off: %s", request.method, request.path, error, exc_info=error)
        request.transport.close()
    return web.Response(status=499)  # Nobody reads this, but aiohttp wants an answer.

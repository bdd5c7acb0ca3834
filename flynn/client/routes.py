"""Routes, and what routers count of them."""

from collections.abc import Mapping
from typing import Any

from flynn.client.calls import Calls, of_app, segment
from flynn.core import model
from flynn.core.route_stats import GridStats


class RouteCalls(Calls):
    """Part of `Client`."""

    async def routes(self, app: str) -> list[model.Route]:
        return await self.wire.call("GET", of_app(app, "routes"), list[model.Route])

    async def route(self, id: str) -> model.Route:
        return await self.wire.call("GET", f"/v1/routes/{segment(id)}", model.Route)

    async def add_route(self, app: str, wanted: Mapping[str, Any]) -> model.Route:
        """A new route: `domain` and `path`, or `kind` tcp and `port` (0: any), `service` and options."""
        return await self.wire.call("POST", of_app(app, "routes"), model.Route, dict(wanted))

    async def change_route(self, id: str, options: Mapping[str, Any]) -> model.Route:
        return await self.wire.call("PATCH", f"/v1/routes/{segment(id)}", model.Route, dict(options))

    async def change_routes(self, app: str, options: Mapping[str, Any]) -> list[model.Route]:
        """Options for all HTTP routes of an app."""
        return await self.wire.call("PATCH", of_app(app, "routes"), list[model.Route], dict(options))

    async def remove_route(self, id: str) -> model.Route:
        return await self.wire.call("DELETE", f"/v1/routes/{segment(id)}", model.Route)

    async def router_stats(self, app: str = "", all: bool = False) -> GridStats:
        """What all routers count of the routes of an app, or of all; with `all` also of those without a request."""
        query = ({"app": app} if app else {}) | ({"all": "true"} if all else {})
        return await self.wire.call("GET", "/v1/routers/stats", GridStats, query=query)

"""Releases of an app, and how they are deployed."""

from collections.abc import Mapping
from typing import Any

from flynn.client.calls import Calls, of_app
from flynn.core import model, records
from flynn.core.records import Lines


class ReleaseCalls(Calls):
    """Part of `Client`."""

    async def releases(self, app: str) -> list[model.Release]:
        """Newest first."""
        return await self.wire.call("GET", of_app(app, "releases"), list[model.Release])

    async def release(self, app: str, version: int) -> records.ReleaseInfo:
        return await self.wire.call("GET", of_app(app, f"releases/{version}"), records.ReleaseInfo)

    def deploy_image(
        self,
        app: str,
        image: str,
        commands: Mapping[str, str],
        description: str = "",
        described: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Lines:
        """Deploy an image that hosts pull. `commands` by process type; none: one `web`, as the image says.

        `described`: what is said of its process types beside that, as in flynn.json. `query`: of this deploy alone,
        `strategy`, `batch`, `wait`.
        """
        body: dict[str, object] = {"image": image, "processes": dict(commands), "description": description}
        body |= {} if described is None else {"described": described}
        return self.wire.lines("POST", of_app(app, "releases"), json=body, params=dict(query or {}))

    def rollback(self, app: str, version: int | None = None, query: Mapping[str, str] | None = None) -> Lines:
        body = {} if version is None else {"version": version}
        return self.wire.lines("POST", of_app(app, "rollback"), json=body, params=dict(query or {}))

    async def deployment(self, app: str) -> records.Deployment:
        """How the deploys of an app go, and the last of them."""
        return await self.wire.call("GET", of_app(app, "deployment"), records.Deployment)

    async def change_deployment(self, app: str, said: Mapping[str, Any]) -> records.Deployment:
        return await self.wire.call("PATCH", of_app(app, "deployment"), records.Deployment, dict(said))

    async def cancel_deploy(self, app: str) -> records.Ordered:
        """End the deploy under way; the old release serves. Invalid: there is none."""
        return await self.wire.call("DELETE", of_app(app, "deploy"), records.Ordered)

    async def promote_deploy(self, app: str) -> records.Ordered:
        """A canary goes on now. Invalid: there is none."""
        return await self.wire.call("POST", of_app(app, "deploy/promote"), records.Ordered)

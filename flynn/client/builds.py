"""Builds of an app, and what it is built with."""

from collections.abc import AsyncIterator, Mapping, Sequence

from flynn.client.calls import Calls, of_app
from flynn.core import records
from flynn.core.records import Lines


class BuildCalls(Calls):
    """Part of `Client`."""

    def build(
        self,
        app: str,
        source: AsyncIterator[bytes],
        size: int,
        description: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Lines:
        """Build and deploy a gzip'd tar of `size` bytes. `query`: of its deploy alone, `strategy`, `batch`."""
        headers = {"Content-Type": "application/gzip", "Content-Length": str(size)}
        params = ({"description": description} if description else {}) | dict(query or {})
        return self.wire.lines("POST", of_app(app, "builds"), data=source, headers=headers, params=params)

    async def builds(self, app: str) -> list[records.BuildInfo]:
        """The last ones, newest first."""
        return await self.wire.call("GET", of_app(app, "builds"), list[records.BuildInfo])

    def build_log(self, app: str, number: int) -> Lines:
        """What a build printed; one under way is followed to its end."""
        return self.wire.lines("GET", of_app(app, f"builds/{number}/log"))

    async def cancel_build(self, app: str, number: int) -> records.BuildInfo:
        """End a build before its time; as it is once it has ended, or some seconds later."""
        return await self.wire.call("DELETE", of_app(app, f"builds/{number}"), records.BuildInfo)

    async def buildpacks(self, app: str) -> records.Buildpacks:
        return await self.wire.call("GET", of_app(app, "buildpacks"), records.Buildpacks)

    async def set_buildpacks(self, app: str, packs: Sequence[str]) -> records.Buildpacks:
        """What it is built with from the next build on; none: the first one that fits."""
        body = {"buildpacks": list(packs)}
        return await self.wire.call("PUT", of_app(app, "buildpacks"), records.Buildpacks, body)

"""Previews of an app's branches, as a client sees them."""

from flynn.client.calls import Calls, of_app
from flynn.core.records import PreviewInfo, Previews


class PreviewCalls(Calls):
    """Part of `Client`."""

    async def previews(self, app: str) -> Previews:
        return await self.wire.call("GET", of_app(app, "previews"), Previews)

    async def switch_previews(self, app: str, on: bool | None = None, idle: int | None = None) -> Previews:
        """Whether further branches get previews, and after how many seconds without a request those sleep."""
        told = {"on": on, "idle": idle}
        body = {name: value for name, value in told.items() if value is not None}
        return await self.wire.call("PATCH", of_app(app, "previews"), Previews, body)

    async def make_preview(self, app: str, branch: str) -> PreviewInfo:
        """The preview of a branch, made if there is none, and awake."""
        return await self.wire.call("PUT", of_app(app, "previews"), PreviewInfo, {"branch": branch})

    async def delete_preview(self, app: str, branch: str) -> PreviewInfo:
        """Delete the preview of a branch with its volumes; as it was."""
        return await self.wire.call("DELETE", of_app(app, "previews"), PreviewInfo, query={"branch": branch})

"""Volumes, and who sees them."""

from collections.abc import Mapping, Sequence

from flynn.client.calls import Calls, of_app, segment
from flynn.core import model, records
from flynn.core.records import Lines


class VolumeCalls(Calls):
    """Part of `Client`."""

    async def volumes(self, app: str = "") -> list[records.VolumeInfo]:
        """The volumes of an app, deleted or not, or of all."""
        query = {"app": app} if app else {}
        return await self.wire.call("GET", "/v1/volumes", list[records.VolumeInfo], query=query)

    async def create_volume(
        self, app: str, name: str, shared: bool = False, scratch: bool = False, host: str = ""
    ) -> model.Volume:
        body = {"name": name, "shared": shared, "scratch": scratch, "host": host}
        return await self.wire.call("POST", of_app(app, "volumes"), model.Volume, body)

    async def delete_volume(self, app: str, name: str, lost: bool = False) -> records.VolumeInfo:
        """Delete a volume and its data; as it was. `lost`: only forget it, as its host will never come back."""
        query = {"lost": "true"} if lost else {}
        return await self.wire.call("DELETE", of_app(app, f"volumes/{segment(name)}"), records.VolumeInfo, query=query)

    async def mounts(self, app: str) -> dict[str, list[str]]:
        """By process type, as users write them: `data:/var/lib/data:ro`."""
        return await self.wire.call("GET", of_app(app, "mounts"), dict[str, list[str]])

    def change_mounts(self, app: str, put: Mapping[str, Sequence[str]], unset: Mapping[str, Sequence[str]]) -> Lines:
        """`put` by process type, `unset` by volume or place."""
        body = {"set": {type: list(own) for type, own in put.items()}, "unset": {t: list(n) for t, n in unset.items()}}
        return self.wire.lines("PATCH", of_app(app, "mounts"), json=body)

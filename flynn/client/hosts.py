"""Hosts, and what is wanted of them."""

from collections.abc import Mapping, Sequence

from flynn.client.calls import Calls, segment
from flynn.core import model, records
from flynn.core.records import Lines


class HostCalls(Calls):
    """Part of `Client`."""

    async def hosts(self) -> list[records.HostInfo]:
        return await self.wire.call("GET", "/v1/hosts", list[records.HostInfo])

    async def host(self, name: str) -> records.HostDetail:
        return await self.wire.call("GET", f"/v1/hosts/{segment(name)}", records.HostDetail)

    async def plan_drain(self, host: str) -> records.Forecast:
        """What a drain of the host would do now."""
        return await self.wire.call("GET", f"/v1/hosts/{segment(host)}/drain", records.Forecast)

    def drain(self, host: str, force: bool = False, timeout: float | None = None, wait: bool = True) -> Lines:
        """Move all work off a host. `force` stops what cannot be moved, what ends by itself after `timeout` s."""
        body: dict[str, object] = {"force": force} | ({} if timeout is None else {"timeout": timeout})
        query = {} if wait else {"wait": "false"}
        return self.wire.lines("POST", f"/v1/hosts/{segment(host)}/drain", json=body, params=query)

    async def undrain(self, host: str) -> model.Wish:
        return await self.wire.call("DELETE", f"/v1/hosts/{segment(host)}/drain", model.Wish)

    async def tag_host(self, host: str, put: Mapping[str, str], remove: Sequence[str] = ()) -> model.Wish:
        """Set tags of a host, take others away; what is wanted of it now."""
        body = {"set": dict(put), "remove": list(remove)}
        return await self.wire.call("PATCH", f"/v1/hosts/{segment(host)}/tags", model.Wish, body)

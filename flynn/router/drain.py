"""What the router tells the grid of instances that shall stop: what it has seen, and what is still in flight there."""

import asyncio
from collections.abc import Callable, Mapping

from flynn.core import keys
from flynn.core.lease import NodeLease
from flynn.core.model import Router


def due(
    published: Router | None, host: str, revision: int, draining: Mapping[str, int], port: int = 0, url: str = ""
) -> Router | None:
    """The record to publish now, or None while the published one still says all that matters.

    `revision` is that of the table in use; `draining` counts the requests in flight on each draining instance, with
    zeros. Without a draining instance a newer revision is of no interest to anyone, and costs no write.
    """
    busy = {key: count for key, count in draining.items() if count}
    known = published is not None and busy == published.draining
    if published is not None and known and (not draining or published.revision >= revision):
        return None
    return Router(host=host, revision=revision, port=port, url=url, draining=busy)


class Told:
    """Keeps `routers/<host>` true. `state()` gives the table's revision and the counts, as `due` takes them; `port` is
    where this router listens, `url` the node API of its daemon."""

    def __init__(
        self,
        host: str,
        lease: NodeLease,
        state: Callable[[], tuple[int, Mapping[str, int]]],
        port: int = 0,
        url: str = "",
    ) -> None:
        self._host = host
        self._port = port
        self._url = url
        self._lease = lease
        self._state = state
        self._changed = asyncio.Event()
        self.published: Router | None = None

    def changed(self) -> None:
        """Something that `state()` tells may be different now."""
        self._changed.set()

    async def begin(self) -> None:
        """State the record for the first time."""
        await self._tell()

    async def keep(self) -> None:
        """Publish what is due, for ever. Changes during a write are told together by the next."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()

    async def end(self) -> None:
        """Remove the record."""
        await self._lease.delete(keys.router(self._host))

    async def _tell(self) -> None:
        record = due(self.published, self._host, *self._state(), port=self._port, url=self._url)
        if record is not None:
            await self._lease.put(keys.router(self._host), record)
            self.published = record

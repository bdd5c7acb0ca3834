"""The mirror: the facts of the grid, kept up to date by one watch, always there without waiting.

When the store cannot be reached the mirror keeps what it has (law 1: losing the store freezes, never empties)
and says since when; when it returns, the watch resumes where it broke, or all is read afresh after a compaction.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from flynn.core.errors import Compacted, Conflict, Unavailable
from flynn.core.facts import Facts
from flynn.core.store import Store

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two tries to reach a store that does not answer."""


@dataclass(eq=False)
class Mirror:
    """The photo of now. Opened by `open_mirror`; `facts` is swapped whole, one commit at a time."""

    store: Store
    facts: Facts = field(default_factory=Facts)
    stale_since: float | None = None
    """When it was noticed that the store cannot be reached, if it still cannot (seconds since the epoch)."""

    _listeners: set[Callable[[Facts], None]] = field(default_factory=set)

    @contextmanager
    def listening(self, listener: Callable[[Facts], None]) -> Iterator[None]:
        """Call `listener` with each new photo, at once and in order. It must not wait and must not raise."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def photos(self, *tables: str) -> AsyncIterator[Facts]:
        """The photo of now, then the newest one each time there is another (some may be skipped), without end. With
        `tables` only those in which one of these has changed."""
        while True:
            facts = self.facts
            yield facts
            await self.until(lambda now, then=facts: _differ(then, now, tables), None)  # type: ignore[misc]

    async def until(self, wanted: Callable[[Facts], bool], timeout: float | None) -> Facts:
        """A photo that is `wanted`: the newest, or the first that was. TimeoutError after `timeout` seconds (None: no
        limit). `wanted` is asked of each photo in turn, at once, and must not wait."""
        if wanted(self.facts):
            return self.facts
        found: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()

        def look(facts: Facts) -> None:
            if found.done():
                return
            try:
                if wanted(facts):
                    found.set_result(facts)
            except Exception as error:
                found.set_exception(error)

        with self.listening(look):
            async with asyncio.timeout(timeout):
                facts = await found
        return self.facts if wanted(self.facts) else facts

    async def reach(self, revision: int, timeout: float = 5.0) -> Facts:
        """The first photo that shows the commit `revision`. Unavailable when it takes over `timeout` seconds."""
        try:
            return await self.until(lambda facts: facts.revision >= revision, timeout)
        except TimeoutError:
            raise Unavailable(
                f"written to {self.store.name}, but not read back within {timeout:g} s; look again in a moment"
            ) from None

    async def catch_up(self, old: Facts, timeout: float = 2.0) -> Facts:
        """The first photo that is newer than `old`, or `old` itself if none comes within `timeout` seconds."""
        try:
            return await self.until(lambda facts: facts is not old, timeout)
        except TimeoutError:
            return old

    async def past(self, old: Facts, refused: Conflict, timeout: float = 2.0) -> Facts:
        """The first photo that shows why a commit decided on `old` was refused; the newest one if it takes over
        `timeout` seconds."""
        key, revision = refused.detail.get("key", ""), refused.detail.get("revision", 0)

        def shows(facts: Facts) -> bool:
            moved = facts.stamp(key) != old.stamp(key) if key else facts is not old
            return moved and facts.revision >= revision

        try:
            return await self.until(shows, timeout)
        except TimeoutError:
            return self.facts

    async def load(self) -> None:
        """Read everything afresh, as one new photo."""
        found = await self.store.range()
        self._show(Facts.fresh(found.items, found.revision))

    async def follow(self) -> None:
        """Keep the photo new for ever, through outages and compactions."""
        while True:
            try:
                async with self.store.watch("", self.facts.revision) as batches:
                    self._reached()
                    async for batch in batches:
                        self._show(self.facts.after(batch))
            except Compacted:
                log.info("the store has dropped revision %d; reading everything afresh", self.facts.revision)
                await self._reload()
            except Unavailable as error:
                self._lost(error)
                await asyncio.sleep(RETRY)
            except Exception as error:
                log.exception("the mirror failed; reading everything afresh")
                self._lost(error)
                await asyncio.sleep(RETRY)
                await self._reload()

    async def _reload(self) -> None:
        try:
            await self.load()
        except Unavailable as error:
            self._lost(error)
            await asyncio.sleep(RETRY)

    def _show(self, facts: Facts) -> None:
        self.facts = facts
        self._reached()
        for listener in tuple(self._listeners):
            try:
                listener(facts)
            except Exception:
                log.exception("a listener of the mirror failed")

    def _reached(self) -> None:
        if self.stale_since is not None:
            log.info("%s answers again", self.store.name)
        self.stale_since = None

    def _lost(self, error: Exception) -> None:
        if self.stale_since is None:
            self.stale_since = time.time()
            log.warning("%s does not answer; going on with the facts of now (%s)", self.store.name, error)


def _differ(old: Facts, new: Facts, tables: Collection[str]) -> bool:
    return any(old.tables.get(name) is not new.tables.get(name) for name in tables) if tables else old is not new


@asynccontextmanager
async def open_mirror(store: Store) -> AsyncIterator[Mirror]:
    """A mirror that has read everything once and follows from there. Unavailable: the store does not answer."""
    mirror = Mirror(store)
    await mirror.load()
    following = asyncio.create_task(mirror.follow(), name="mirror")
    try:
        yield mirror
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

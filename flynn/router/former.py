"""The router before this one, while it ends what it has under way: it is shown the facts, and its requests count."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping

from flynn.core.channel import Channel
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.router.feed import Passed, Report, Serving, Waiting, difference

log = logging.getLogger(__name__)

GREETING = 5.0
"""Seconds in which the first report must be here."""

LOST = (EOFError, ConnectionError, Invalid)

State = tuple[int, Mapping[str, int]]
"""The revision followed, and the requests in flight on each draining instance."""


class Former:
    """`changed` is called when `state` may give something else, `adopt` with each connection that is passed on."""

    def __init__(
        self, channel: Channel, changed: Callable[[], None], adopt: Callable[[socket.socket, Waiting], None]
    ) -> None:
        self.gone = asyncio.Event()
        self._channel = channel
        self._changed, self._adopt = changed, adopt
        self._report = Report(0, {})
        self._reported = asyncio.Event()
        self._facts: Facts | None = None
        self._woken = asyncio.Event()

    def state(self, own: State) -> State:
        """Both routers taken together, `own` being this one's."""
        if self.gone.is_set():
            return own
        revision, draining = own
        theirs = self._report
        keys = [*draining, *(key for key in theirs.draining if key not in draining)]
        return (
            min(revision, theirs.revision),
            {key: draining.get(key, 0) + theirs.draining.get(key, 0) for key in keys},
        )

    def show(self, facts: Facts) -> None:
        """Follow these from now on."""
        self._facts = facts
        self._woken.set()

    async def greeted(self) -> None:
        """Wait for the first report. Until there is one, it is taken to have seen nothing, so that nobody drains."""
        try:
            async with asyncio.timeout(GREETING):
                await self._reported.wait()
        except TimeoutError:
            log.warning("the router before this one does not say what it has under way")

    async def serving(self) -> None:
        """Tell it that this one accepts."""
        with contextlib.suppress(OSError):
            await self._channel.send(Serving())

    async def work(self) -> None:
        """Hear it and show it the facts until it is gone."""
        showing = asyncio.create_task(self._show(), name="show facts to the router before")
        try:
            while True:
                message, files = await self._channel.receive(Report | Passed)
                if isinstance(message, Report):
                    self._report = message
                    self._reported.set()
                    self._changed()
                for file, client in zip(files, message.clients if isinstance(message, Passed) else (), strict=True):
                    self._adopt(socket.socket(fileno=file), client)
        except LOST as error:
            log.info("the router before this one has ended (%s)", error)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            self._channel.close()
            self.gone.set()
            self._reported.set()
            self._changed()

    async def _show(self) -> None:
        before: Facts | None = None
        while True:
            await self._woken.wait()
            self._woken.clear()
            facts = self._facts
            assert facts is not None
            await self._channel.send(difference(before, facts))
            before = facts

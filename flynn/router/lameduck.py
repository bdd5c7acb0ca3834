"""The router once the next one has taken its place: it takes nothing new, and ends what it has under way.

It follows the facts that the next one shows it and tells that one what is in flight (`feed.py`), so that the drain of
an instance is exact for both. Clients that wait for nothing but their own next request are passed on; they do not
notice. Only what is busy all the time is told `Connection: close`.
"""

import asyncio
import contextlib
import errno
import logging
import os

from flynn.core.channel import FILES_LIMIT, Channel
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.router.client import Client
from flynn.router.connection import READY
from flynn.router.feed import Passed, Report, Serving, Shown, Waiting, applied
from flynn.router.plane import Plane

log = logging.getLogger(__name__)

SERVING = 5.0
"""Seconds in which the next router must say that it accepts. Then this one stops to in any case."""

PASSING = 1.0
"""Seconds after which clients that were not idle yet are told `Connection: close`."""

LOOK, LATER = 0.02, 0.25
"""Seconds between two looks for idle clients, up to then and after it."""

STUCK = 5.0
"""Seconds for which the next router may leave unread what it is sent."""

FULL = (errno.EMFILE, errno.ENFILE, errno.ETOOMANYREFS)
"""What the system answers where too many files are open, or on the way: later there may be room."""

LOST = (EOFError, ConnectionError, Invalid)


class LameDuck:
    """`plane`, with the limits for its end in seconds."""

    def __init__(self, plane: Plane, channel: Channel, timeout: float, tunnels: float) -> None:
        self.plane = plane
        self._channel = channel
        self._timeout, self._tunnels = timeout, tunnels
        self._facts = Facts()
        self._told: Report | None = None
        self._changed = asyncio.Event()
        self._served = asyncio.Event()

    async def greet(self) -> None:
        """Say what there is, before anything else."""
        self._told = Report(*self._state())
        await self._channel.send(self._told)

    async def end(self) -> None:
        """See `core.estate.Afterlife`."""
        self.plane.changed = self._changed.set
        self._changed.set()
        async with asyncio.TaskGroup() as tasks:
            talking = [tasks.create_task(self._hear(), name="hear"), tasks.create_task(self._tell(), name="tell")]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SERVING):
                    await self._served.wait()
            self.plane.stop_accepting()
            talking.append(tasks.create_task(self._pass_on(), name="pass clients on"))
            await self._until_passed()
            await self.plane.drain(self._timeout, self._tunnels, idle=False)
            for task in talking:
                task.cancel()
        await self.plane.close()
        self._channel.close()

    def close(self) -> None:
        """There is nobody to talk to."""
        self._channel.close()

    def _state(self) -> tuple[int, dict[str, int]]:
        revision, draining = self.plane.state()
        return revision, {key: count for key, count in draining.items() if count}

    async def _hear(self) -> None:
        """Follow what the next router shows, until it is gone; then route on by what was shown last."""
        try:
            while True:
                message, _ = await self._channel.receive(Shown | Serving)
                if isinstance(message, Serving):
                    self._served.set()
                else:
                    self._facts = applied(self._facts, message)
                    self.plane.follow(self._facts)
                    self._changed.set()
        except LOST:
            self._served.set()

    async def _tell(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._changed.wait()
                self._changed.clear()
                report = Report(*self._state())
                if report != self._told:
                    await self._channel.send(report)
                    self._told = report

    async def _until_passed(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASSING):
                await self.plane.proxy.empty.wait()

    async def _pass_on(self) -> None:
        """Pass on who is idle, again and again, as long as there is someone to take them."""
        try:
            while True:
                idle = [client for client in self.plane.proxy.clients if _is_idle(client)]
                for start in range(0, len(idle), FILES_LIMIT):
                    async with asyncio.timeout(STUCK):
                        await self._pass(idle[start : start + FILES_LIMIT])
                await asyncio.sleep(LATER if self.plane.proxy.stopping else LOOK)
        except (OSError, TimeoutError) as error:
            log.info("clients are not passed on any more: %r", error)
            self._channel.end()

    async def _pass(self, clients: list[Client]) -> None:
        """Pass these on, if they still are idle. OSError: they stay here."""
        files: list[int] = []
        clients = [client for client in clients if _is_idle(client)]
        try:
            for client in clients:
                client.hold()
                files.append(os.dup(client.transport.get_extra_info("socket").fileno()))
            await self._channel.send(Passed([Waiting(c.served, c.peer, c.own) for c in clients]), files)
        except BaseException as error:
            for client in clients:
                client.let_go()
            if getattr(error, "errno", None) not in FULL:
                raise
        else:
            for client in clients:
                client.transport.abort()
        finally:
            for file in files:
                os.close(file)


def _is_idle(client: Client) -> bool:
    """Whether the connection stands between two requests, with no byte under way that we know of."""
    return (
        client.state == READY
        and not client.buffer
        and not client.held
        and not client.transport.is_closing()
        and not client.transport.get_write_buffer_size()
    )

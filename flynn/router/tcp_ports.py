"""The ports of all TCP routes: opened and closed as routes come and go; one that cannot be had is tried again."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from flynn.core.model import Route
from flynn.router.listen import accepting
from flynn.router.proxy import Proxy
from flynn.router.tcp_port import Port

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds after which a port that could not be had is tried again."""

LAST = 30.0
"""Seconds that the connections of a route live on after it."""

Sockets = list[socket.socket]


def wanted(routes: Iterable[Route]) -> dict[int, Route]:
    """The route of each port. Of two with the same port, the older one holds."""
    found: dict[int, Route] = {}
    for route in sorted(routes, key=lambda r: (r.created, r.id)):
        if route.kind == "tcp" and 0 < route.port < 65536:
            found.setdefault(route.port, route)
    return found


@dataclass(frozen=True)
class Open:
    """A port that is listened on. `servers` accept on duplicates of `sockets`."""

    port: Port
    sockets: Sockets
    servers: list[asyncio.Server]


class Ports:
    """`opened` gives the sockets for a port, bound (OSError: it is taken), `closed` takes them back, to be closed or
    kept for another daemon. `own` are ports that no route can have."""

    def __init__(
        self,
        proxy: Proxy,
        opened: Callable[[int], Sockets],
        closed: Callable[[Sockets], None],
        own: Collection[int] = (),
    ) -> None:
        self.proxy = proxy
        self.changed: Callable[[], None] = lambda: None
        """Called when `sentence` is another one."""
        self.ports: dict[int, Port] = {}
        """Those that routes have now, open or not."""
        self.problems: dict[int, str] = {}
        """Why a port is not open."""
        self.retry, self.last = RETRY, LAST
        self._opened, self._closed, self._own = opened, closed, frozenset(own)
        self._former: set[Port] = set()
        """Those whose route went, as long as someone is connected."""
        self._open: dict[int, Open] = {}
        self._accepting = False
        self._woken, self._settling = asyncio.Event(), asyncio.Lock()

    def follow(self, routes: Iterable[Route]) -> None:
        """These are the routes now; those of kind `tcp` matter. Ports open and close soon after."""
        found = wanted(routes)
        for number in self.ports.keys() - found.keys():
            port = self.ports.pop(number)
            port.closed = self.proxy.clock()
            self._former.add(port)
        for number, route in found.items():
            earlier = self.ports.get(number)
            if earlier is None:
                self.ports[number] = Port(self.proxy, route)
            elif earlier.route.id == route.id:
                earlier.route = route
            else:
                self._former.add(earlier.goes_to(route))
        self._woken.set()

    async def accept(self) -> None:
        """Open the ports and accept connections from now on."""
        self._accepting = True
        async with self._settling:
            await self._settle()

    def stop_accepting(self) -> None:
        """Those connected stay. The sockets are given back."""
        self._accepting = False
        for number in tuple(self._open):
            self._close(number)

    async def work(self) -> None:
        """Follow the routes and keep all deadlines, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(), name="TCP ports")
            tasks.create_task(self._sweep(), name="TCP sweep")

    async def drain(self, timeout: float) -> int:
        """Let connections end, and break off what lasts over `timeout` seconds: how many."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while any(port.entries for port in self.all()):
                    await asyncio.sleep(self.proxy.limits.sweep)
        late = [entry for port in self.all() for entry in port.entries]
        if late:
            log.warning("%d connections of TCP routes lasted over %g s and are broken off", len(late), timeout)
        for entry in late:
            entry.break_off()
        return len(late)

    def all(self) -> list[Port]:
        """Also those whose route went."""
        return [*self.ports.values(), *self._former]

    def sentence(self) -> str:
        """What there is to say of the ports; empty without TCP routes."""
        listened = ", ".join(str(number) for number in sorted(self._open))
        told = [f"TCP on port {listened}"] if listened else []
        return "; ".join([*told, *(self.problems[number] for number in sorted(self.problems))])

    def counters(self) -> dict[str, dict[str, object]]:
        """By route."""
        found: dict[str, dict[str, object]] = {}
        for number, port in self.ports.items():
            found[port.route.id] = {**port.counters(), "problem": self.problems.get(number, "")}
        return found

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.retry if self.problems else None):
                    await self._woken.wait()
            self._woken.clear()
            async with self._settling:
                await self._settle()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.proxy.limits.sweep)
            for port in self.all():
                port.sweep(self.proxy.clock(), self.last)
            self._former = {port for port in self._former if port.entries}

    async def _settle(self) -> None:
        """Open and close what is due."""
        before = self.sentence()
        for number in [n for n, one in self._open.items() if self.ports.get(n) is not one.port]:
            self._close(number)
        for number in self.problems.keys() - self.ports.keys():
            del self.problems[number]
        for number in sorted(self.ports.keys() - self._open.keys()):
            if self._accepting:
                await self._try(number, self.ports[number])
        if self.sentence() != before:
            self.changed()

    async def _try(self, number: int, port: Port) -> None:
        """Open a port, or say why not."""
        before, sockets = self.problems.pop(number, ""), []
        try:
            if number in self._own:
                raise OSError(0, "it is one of this daemon's own")
            sockets = self._opened(number)
            self._open[number] = Open(port, sockets, await accepting(port.client, sockets))
        except OSError as error:
            self._closed(sockets)
            problem = self.problems[number] = f"cannot listen on port {number}: {error.strerror}"
            if problem != before:
                log.warning("%s (TCP route %s); it is tried again", problem, port.route.id)
        if not self._accepting:
            self.stop_accepting()

    def _close(self, number: int) -> None:
        one = self._open.pop(number)
        for server in one.servers:
            server.close()
        self._closed(one.sockets)

"""What of a daemon outlives it: the sockets it listens on, by name, and what its bricks leave at work.

A daemon that hands over lets go of its store and its bricks, but not of this, so that nothing is refused meanwhile. The
next process is given the sockets. If it fails, the bricks of this one start again on what they left.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Afterlife(Protocol):
    """What a brick leaves at work when its daemon hands over."""

    async def end(self) -> None:
        """The next process is up: end what is under way, and return once nothing is left."""


class Estate:
    """`handing`: if the daemon stops now, another process does what it did, so a brick leaves all as it is.

    `lease` is that of the life before, 0 if there was none. `given` are sockets of the daemon before.
    """

    def __init__(self, given: Mapping[str, socket.socket] | None = None, lease: int = 0) -> None:
        self.handing = False
        self.lease = lease
        self._given = dict(given or {})
        self._open: dict[str, socket.socket] = {}
        self._presents: dict[str, socket.socket] = {}
        self._left: dict[str, Any] = {}

    def inherit_lease(self, lease: int) -> None:
        """The lease of the life that ends now."""
        self.lease = lease

    def opened(self, name: str, make: Callable[[], socket.socket]) -> socket.socket:
        """The socket of this name: the one that was given or is open already, or else made now. Open until `close`."""
        if name not in self._open:
            self._open[name] = self._given.pop(name) if name in self._given else make()
        return self._open[name]

    def close(self, *sockets: socket.socket) -> None:
        """Close sockets that were `opened`."""
        for sock in sockets:
            self._open = {name: one for name, one in self._open.items() if one is not sock}
            sock.close()

    def take(self, name: str) -> socket.socket | None:
        """The socket that the daemon before left under this name for its heir alone; the caller's from now on."""
        return self._given.pop(name, None)

    def leave(self, name: str, at_work: Afterlife, present: socket.socket) -> None:
        """Leave `at_work` under a brick's name while handing over, and `present` to the same brick of the heir."""
        self._left[name] = at_work
        self._presents[name] = present

    def take_back(self, name: str) -> Any:
        """What the brick left when a hand-over was begun that failed; None if there was none."""
        return self._left.pop(name, None)

    def bequest(self) -> dict[str, socket.socket]:
        """All sockets for the next process: those that are open, and the presents."""
        return {**self._open, **self._presents}

    def close_presents(self) -> None:
        """They were given, or shall not be."""
        _close_all(self._presents)

    def close_unclaimed(self) -> None:
        """Nobody asked for the rest of what was given."""
        _close_all(self._given)

    async def end(self) -> None:
        """The next process is up: listen no more, and wait until what is left at work has ended."""
        self.close(*self._open.values())
        async with asyncio.TaskGroup() as tasks:
            for name, at_work in self._left.items():
                tasks.create_task(at_work.end(), name=f"end {name}")
        self._left.clear()

    def close_all(self) -> None:
        """The daemon ends."""
        for sockets in (self._given, self._open, self._presents):
            _close_all(sockets)


def _close_all(sockets: dict[str, socket.socket]) -> None:
    for sock in sockets.values():
        sock.close()
    sockets.clear()

"""The place that a request goes to: an instance, with its warm connections and what it counts."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flynn.core.model import Instance
from flynn.router.balance import Load

if TYPE_CHECKING:
    from flynn.router.backend import Backend

IDLE_LIMIT = 128
"""Warm connections kept for one instance."""

IDLE_TIMEOUT = 15.0
"""Seconds that a warm connection is kept without a request."""

FRESH = 1.0
"""Seconds without a request after which a warm connection is trusted only with a request that can be repeated:
its app may be closing it at this very moment."""


class Target(Load):
    """One instance. While `retired` (draining, or gone) it gets no new request and keeps no warm connection."""

    __slots__ = (
        "_idle", "_warm", "answers", "born", "failures", "host", "instance", "key", "opened", "path", "port", "retired",
        "reused", "when_less",
    )  # fmt: skip

    def __init__(self, key: str, instance: Instance, when_less: Callable[[], None], warm: "set[Target]") -> None:
        super().__init__()
        self.key = key
        self.instance = instance
        host, _, port = instance.address.rpartition(":")
        self.host = host.strip("[]")
        self.port = int(port) if port.isdigit() else 0
        self.born = 0
        """The revision at which it was registered."""
        self.retired = False
        self.when_less = when_less
        """Called when a request ends on a retired instance."""
        self.path = ""
        """The UNIX socket that is asked first, if the instance is on this very machine."""
        self.answers = [0] * 10
        """Answers by the first digit of their status."""
        self.reused = 0
        """Requests sent on a warm connection."""
        self.opened = 0
        """Requests for which a connection was opened."""
        self.failures = 0
        """Requests that got no answer, or no good one."""
        self._idle: list[Backend] = []
        self._warm = warm
        """All targets that may have warm connections: those to look at now and then, among very many."""

    @property
    def used(self) -> bool:
        """Whether there was a request for it."""
        return bool(self.in_flight or self.opened or self.reused or self.failures or any(self.answers))

    def take(self, now: float, repeatable: bool) -> "Backend | None":
        """The connection used last, if one is warm. One that cannot be trusted with this request stays where it is."""
        idle = self._idle
        while idle:
            backend = idle.pop()
            if backend.transport.is_closing():
                continue
            if repeatable or now - backend.since < FRESH:
                return backend
            idle.append(backend)
            return None
        return None

    def failed(self, now: float, strikes: int = 1) -> None:
        self.failures += 1
        super().failed(now, strikes)

    def give_back(self, backend: "Backend", now: float) -> None:
        """Keep a connection for the next request, or close it."""
        if self.retired or len(self._idle) >= IDLE_LIMIT:
            backend.transport.close()
        else:
            backend.since = now
            if not self._idle:
                self._warm.add(self)
            self._idle.append(backend)

    def forget(self, backend: "Backend") -> None:
        """The connection is gone, idle or not."""
        if backend in self._idle:
            self._idle.remove(backend)

    def ended(self) -> None:
        """A request that was counted in flight has ended."""
        self.in_flight -= 1
        if self.retired:
            self.when_less()

    def follow(self, instance: Instance) -> None:
        """The record changed: a draining instance gets no more requests, one that no longer drains gets some."""
        self.instance = instance
        self.retired = False
        if instance.draining:
            self.retire()

    def retire(self) -> None:
        """No more requests from now on."""
        self.retired = True
        self.close_idle()

    def close_idle(self, before: float | None = None) -> None:
        """Close the warm connections; with `before`, those that had no request since that moment."""
        stale = [b for b in self._idle if before is None or b.since < before]
        for backend in stale:
            self._idle.remove(backend)
            backend.transport.close()

    def tick(self, now: float) -> None:
        """Called each half second or so, while there may be a warm connection."""
        if self._idle and self._idle[0].since < now - IDLE_TIMEOUT:
            self.close_idle(now - IDLE_TIMEOUT)
        if not self._idle:
            self._warm.discard(self)

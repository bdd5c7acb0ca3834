"""The places that requests go to: an instance with its warm connections, and a service with its instances."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flynn.core.model import Instance
from flynn.router.balance import Load, choose

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

    __slots__ = ("_idle", "host", "instance", "key", "port", "retired", "when_less")

    def __init__(self, key: str, instance: Instance, when_less: Callable[[], None]) -> None:
        super().__init__()
        self.key = key
        self.instance = instance
        host, _, port = instance.address.rpartition(":")
        self.host = host.strip("[]")
        self.port = int(port) if port.isdigit() else 0
        self.retired = False
        self.when_less = when_less
        """Called when a request ends on a retired instance."""
        self._idle: list[Backend] = []

    def take(self, now: float, repeatable: bool) -> "Backend | None":
        """The connection used last, if one is warm."""
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

    def give_back(self, backend: "Backend", now: float) -> None:
        """Keep a connection for the next request, or close it."""
        if self.retired or len(self._idle) >= IDLE_LIMIT:
            backend.transport.close()
        else:
            backend.since = now
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
        """Called each half second or so."""
        if self._idle and self._idle[0].since < now - IDLE_TIMEOUT:
            self.close_idle(now - IDLE_TIMEOUT)


class Service:
    """What answers under one name. `targets` take requests; `orphans` do when there is no target left."""

    __slots__ = ("answers", "gone", "in_flight", "name", "opened", "orphans", "replays", "retries", "reused", "targets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.targets: tuple[Target, ...] = ()
        self.orphans: tuple[Target, ...] = ()
        self.answers = [0] * 10
        """Answers by the first digit of their status."""
        self.in_flight = 0
        self.gone = 0
        """Requests whose client went away."""
        self.retries = 0
        self.replays = 0
        self.reused = 0
        self.opened = 0

    def choose(self, tried: list[Target], now: float, chance: Callable[[], float]) -> Target | None:
        """The instance to ask next."""
        return choose(self.targets or self.orphans, tried, now, chance)

    def counters(self) -> dict[str, object]:
        """What `GET /v1/router/stats` shows of it."""
        return {
            "answers": {f"{digit}xx": count for digit, count in enumerate(self.answers) if count},
            "in_flight": self.in_flight,
            "gone": self.gone,
            "instances": len(self.targets),
            "orphans": len(self.orphans),
            "retries": self.retries,
            "replays": self.replays,
            "connections": {"reused": self.reused, "opened": self.opened},
        }

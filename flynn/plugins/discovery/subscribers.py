"""Who listens to which service. Each photo of the facts is compared with the one before it once, for all of them."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flynn.core.facts import Facts
from flynn.plugins.discovery.events import Event, changes, snapshot

BUFFER = 64
"""Events that may wait for a subscriber who does not take them; with one more it is dropped."""


@dataclass(eq=False)
class Subscriber:
    """One listener of one service, and what it has not taken yet. `on_drop` cuts it off."""

    on_drop: Callable[[], None]
    _waiting: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(BUFFER))

    def offer(self, event: Event | None) -> None:
        """Put an event into the buffer; None is the end."""
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.on_drop()

    async def take(self, timeout: float) -> Event | None:
        """The next event, or None at the end. TimeoutError: nothing happened for `timeout` seconds."""
        async with asyncio.timeout(timeout):
            return await self._waiting.get()


class Subscribers:
    """All listeners of this node; `show` is called with each photo, in order."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._by_service: dict[str, set[Subscriber]] = {}

    def show(self, facts: Facts) -> bool:
        """Tell everyone what has changed since the last photo; whether anything has."""
        happened = changes(self._facts, facts)
        self._facts = facts
        for service, events in happened.items():
            for subscriber in self._by_service.get(service, ()):
                for event in events:
                    subscriber.offer(event)
        return bool(happened)

    @contextmanager
    def subscribed(self, service: str, on_drop: Callable[[], None]) -> Iterator[tuple[list[Event], Subscriber]]:
        """How the service stands, and a subscriber that gets everything that happens after that."""
        subscriber = Subscriber(on_drop)
        mine = self._by_service.setdefault(service, set())
        mine.add(subscriber)
        try:
            yield snapshot(self._facts, service), subscriber
        finally:
            mine.discard(subscriber)
            if not mine:
                self._by_service.pop(service, None)

    def close(self) -> None:
        """Nothing more will come: let all of them go."""
        for subscriber in [s for mine in self._by_service.values() for s in mine]:
            subscriber.offer(None)

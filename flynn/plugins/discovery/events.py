"""What a subscriber is told of a service, worked out of photos of the facts."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

from flynn.core.facts import Facts
from flynn.core.frozen import diff
from flynn.core.model import Instance
from flynn.core.web import plain

Kind = Literal["up", "update", "down", "leader", "current"]
Rows = Sequence[tuple[str, Instance | None, Instance | None]]
"""Keys with what was there before and what is there now."""


class Event(msgspec.Struct, frozen=True):
    """`data`: the Instance for `up`, `update`, `down`; `{"leader": ID or null}`; `{"revision": N}` for `current`."""

    kind: Kind
    data: Any

    def encode(self) -> bytes:
        """As server-sent events have it (HTML standard, section 9.2)."""
        return f"event: {self.kind}\ndata: {msgspec.json.encode(plain(self.data)).decode()}\n\n".encode()


def leader(facts: Facts, service: str) -> str | None:
    """The instance of a service that was registered first, or None when it has none."""
    instances = facts.instances(service)
    return instances[0].id if instances else None


def snapshot(facts: Facts, service: str) -> list[Event]:
    """How a service stands: each instance up, oldest first, the leader, then the mark that this is all."""
    ups = [Event("up", instance) for instance in facts.instances(service)]
    return [*ups, Event("leader", {"leader": leader(facts, service)}), Event("current", {"revision": facts.revision})]


def changes(old: Facts, new: Facts) -> dict[str, list[Event]]:
    """What happened between two photos, by service; one that was written again as it was is no event.

    First who came or changed, then who left, at last the leader if it is another; of both the oldest first.
    """
    found: dict[str, list[Event]] = {}
    rows = [*diff(old.services, new.services)]
    rows.sort(key=lambda row: (_created(new if row[2] else old, row[0]), row[0]))
    for instance, event in chain(_arrivals(old, new, rows), _departures(rows)):
        found.setdefault(instance.service, []).append(event)
    for service, events in found.items():
        now = leader(new, service)
        if now != leader(old, service):
            events.append(Event("leader", {"leader": now}))
    return found


def _arrivals(old: Facts, new: Facts, rows: Rows) -> Iterator[tuple[Instance, Event]]:
    for key, before, instance in rows:
        if instance is None:
            continue
        if before is None:
            yield instance, Event("up", instance)
        elif _created(old, key) != _created(new, key):
            yield before, Event("down", before)
            yield instance, Event("up", instance)
        elif before != instance:
            yield instance, Event("update", instance)


def _departures(rows: Rows) -> Iterator[tuple[Instance, Event]]:
    return ((before, Event("down", before)) for _, before, instance in rows if before and instance is None)


def _created(facts: Facts, key: str) -> int:
    return facts.stamps["services"][key].created

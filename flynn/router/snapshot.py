"""What is looked at when someone asks how a router fares: small views of what it counts. Pure.

The counts are the router's own, not copies: whoever reads one row of them reads it as of that moment.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flynn.core.model import Route
from flynn.router.counts import Counts


class RouteSeen(NamedTuple):
    """A route, and what its requests count up to."""

    route: Route
    counts: Counts


class InstanceSeen(NamedTuple):
    """An instance. `answers` by the first digit of their status; `reused` and `opened` are connections to it."""

    service: str
    instance: str
    answers: Sequence[int]
    in_flight: int
    reused: int
    opened: int
    failures: int


class RouterSeen(NamedTuple):
    """A router. `refused` messages were no good requests; `unlogged` lines are missing in its access log; `faults` are
    its own answers, by code and status."""

    clients: int
    refused: int
    unlogged: int
    faults: Mapping[tuple[str, int], int]
    routes: Sequence[RouteSeen]
    instances: Sequence[InstanceSeen]
    tcp: Mapping[str, Mapping[str, object]]
    """By route: `port`, `connections`, `in_flight`, `refused`, `retries`, and bytes `received` and `sent`."""


NONE = Counts().rows


def idle(counts: Counts) -> bool:
    """Whether there was no request yet."""
    return not (counts.in_flight or counts.queued or counts.gone or counts.rows != NONE)


def durations(counts: Counts) -> list[int]:
    """How many requests fell in each class of duration, whatever their status."""
    return list(map(sum, zip(*counts.rows, strict=True)))

"""Where a route leads: its record, its service, and what its requests count up to."""

from collections import deque
from typing import TYPE_CHECKING

from flynn.core.model import Route
from flynn.router.counts import Counts
from flynn.router.service import Service

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange

PLAIN = Route(id="", service="")
"""A route without options."""

NOBODY: "deque[Exchange]" = deque()
"""Who waits where nobody needs to. There may be very many places, and a queue of its own is large."""


class Place:
    """One route as the router has it. A route whose record changes gets a new one, with the counts of the old."""

    __slots__ = ("counts", "limited", "route", "service", "waiting")

    def __init__(self, route: Route, service: Service, before: "Place | None" = None) -> None:
        self.route = route
        self.service = service
        self.counts: Counts = before.counts if before else Counts()
        self.waiting: deque[Exchange] = before.waiting if before else NOBODY
        """Requests that wait for their turn, the first one first; some may have given up."""
        if route.max_in_flight and self.waiting is NOBODY:
            self.waiting = deque()
        self.limited = bool(
            route.maintenance or route.sticky or route.leader or route.body_limit or route.max_in_flight
        )
        """Whether a request needs a closer look before it goes to an instance."""

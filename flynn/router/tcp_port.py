"""One port of a TCP route: which route has it now, who is connected, and what was counted."""

from typing import TYPE_CHECKING

from flynn.core.model import Route
from flynn.router.balance import choose
from flynn.router.tcp import Entry

if TYPE_CHECKING:
    from flynn.router.proxy import Proxy
    from flynn.router.target import Target


class Counts:
    """Counted since the route got the port. `received` and `sent` are bytes from and to clients that have left."""

    __slots__ = ("connections", "received", "refused", "retries", "sent")

    def __init__(self) -> None:
        self.connections = 0
        """Those accepted, the refused ones too."""
        self.refused = 0
        """Those that got no instance: there was none, none accepted, or there were too many connections."""
        self.retries = 0
        self.received = 0
        self.sent = 0


class Port:
    """The data plane of one port, without its sockets: `client()` makes the protocol for each connection accepted."""

    def __init__(self, proxy: "Proxy", route: Route) -> None:
        self.proxy = proxy
        self.route = route
        self.counts = Counts()
        self.entries: set[Entry] = set()
        """The passages that are under way."""
        self.closed = 0.0
        """When the route went; its passages then have a last while. 0: it is there."""

    @property
    def connect_timeout(self) -> float:
        return self.route.connect_timeout or self.proxy.limits.connect_timeout

    def goes_to(self, route: Route) -> "Port":
        """It stays open, for another route. Returns what was here before, with those who are connected."""
        former = Port(self.proxy, self.route)
        former.counts, former.entries, former.closed = self.counts, self.entries, self.proxy.clock()
        for entry in former.entries:
            entry.port = former
        self.route, self.counts, self.entries = route, Counts(), set()
        return former

    def client(self) -> Entry:
        """The protocol of one more connection."""
        return Entry(self)

    def takes(self, entry: Entry) -> bool:
        """Count a new connection; False: it is one too many."""
        self.counts.connections += 1
        self.entries.add(entry)
        most = self.route.max_in_flight or self.proxy.limits.max_clients
        fine = len(self.entries) <= most
        self.counts.refused += not fine
        return fine

    def left(self, entry: Entry) -> None:
        """A passage is over."""
        if entry in self.entries:
            self.entries.remove(entry)
            self.counts.received += entry.passed
            self.counts.sent += entry.other.passed if entry.other else 0

    def choose(self, tried: "list[Target]") -> "Target | None":
        """The instance to try next."""
        service = self.proxy.registry.services.get(self.route.service)
        if service is None:
            return None
        if self.route.leader:
            leader = service.leader()
            return None if leader in tried else leader
        return choose(service.asked, tried, self.proxy.clock(), self.proxy.bits)

    def sweep(self, now: float, last: float) -> None:
        """Break off what was idle for too long, and all that is left `last` seconds after the route went."""
        idle = self.route.idle_timeout or self.proxy.limits.tcp_idle_timeout
        over = self.closed and now - self.closed > last
        for entry in tuple(self.entries):
            if over or entry.idle(now) > idle:
                entry.break_off()

    def counters(self) -> dict[str, object]:
        """What `GET /v1/router/stats` shows of it."""
        live = [(entry.passed, entry.other.passed if entry.other else 0) for entry in self.entries]
        return {
            "port": self.route.port,
            "service": self.route.service,
            "connections": self.counts.connections,
            "in_flight": len(self.entries),
            "refused": self.counts.refused,
            "retries": self.counts.retries,
            "received": self.counts.received + sum(received for received, _ in live),
            "sent": self.counts.sent + sum(sent for _, sent in live),
        }

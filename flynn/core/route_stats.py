"""What routers tell of how their routes fare: one of them, or all added up. Since a router started, in all of it."""

import msgspec


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of all durations, and those that a half, 95 and 99 of 100 requests did not exceed (estimated)."""

    sum: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class RouteStats(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP route. `durations`: requests by class of duration, as the `bounds` divide them."""

    domain: str = ""
    path: str = "/"
    app: str = ""
    service: str = ""
    answers: dict[str, int] = {}
    in_flight: int = 0
    queued: int = 0
    gone: int = 0
    retries: int = 0
    replays: int = 0
    durations: tuple[int, ...] = ()
    seconds: Seconds = Seconds()


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Answers, and how many of them had a status of 500 or above."""

    answers: int = 0
    failed: int = 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(answers=self.answers + other.answers, failed=self.failed + other.failed)


class ServiceStats(msgspec.Struct, frozen=True, kw_only=True):
    """A service: `instances` and `orphans` now; `connections`: how often one was `reused`, and how often `opened`.
    `releases`: what its instances answered, by the release of its app (`v3`)."""

    answers: dict[str, int] = {}
    in_flight: int = 0
    instances: int = 0
    orphans: int = 0
    connections: dict[str, int] = {}
    releases: dict[str, Tally] = {}


class TcpStats(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP route since it got its port. `received` and `sent` are bytes; `problem`: why the port is not open, at one
    router at least."""

    port: int = 0
    service: str = ""
    connections: int = 0
    in_flight: int = 0
    refused: int = 0
    retries: int = 0
    received: int = 0
    sent: int = 0
    problem: str = ""


class RouterStats(msgspec.Struct, frozen=True, kw_only=True):
    """One router. With `error` it did not answer, and counts for nothing."""

    error: str = ""
    clients: int = 0
    refused: int = 0
    revision: int = 0
    started: float = 0.0


class GridStats(msgspec.Struct, frozen=True, kw_only=True):
    """All routers, and what they counted. `bounds`: in seconds."""

    routers: dict[str, RouterStats] = {}
    clients: int = 0
    refused: int = 0
    bounds: tuple[float, ...] = ()
    services: dict[str, ServiceStats] = {}
    routes: dict[str, RouteStats] = {}
    tcp: dict[str, TcpStats] = {}

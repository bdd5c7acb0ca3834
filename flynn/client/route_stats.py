"""What the routers answer when they are asked how their routes fare."""

import msgspec


class RouteStats(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP route over all routers. `durations`: requests by class of duration, as the `bounds` divide them."""

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


class TcpStats(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP route over all routers. `received` and `sent` are bytes; `problem`: why a port is not open."""

    port: int = 0
    service: str = ""
    connections: int = 0
    in_flight: int = 0
    refused: int = 0
    retries: int = 0
    received: int = 0
    sent: int = 0
    problem: str = ""


class ServiceStats(msgspec.Struct, frozen=True, kw_only=True):
    """A service over all routers. `connections`: how often one was `reused`, and how often `opened`."""

    connections: dict[str, int] = {}


class RouterStats(msgspec.Struct, frozen=True, kw_only=True):
    """One router. With `error` it did not answer, and counts for nothing."""

    error: str = ""
    clients: int = 0
    refused: int = 0
    started: float = 0.0


class GridStats(msgspec.Struct, frozen=True, kw_only=True):
    """All routers, and what they counted since they started. `bounds`: in seconds."""

    routers: dict[str, RouterStats] = {}
    clients: int = 0
    refused: int = 0
    bounds: tuple[float, ...] = ()
    services: dict[str, ServiceStats] = {}
    routes: dict[str, RouteStats] = {}
    tcp: dict[str, TcpStats] = {}

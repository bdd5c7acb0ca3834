"""Which port a TCP route gets: the one asked for, or one of the pool. Pure."""

from flynn.core import model
from flynn.core.errors import Full, Invalid
from flynn.core.facts import Facts

POOL = range(3000, 3501)
"""What is given to those who ask for no port of their own."""

CHOICE = range(1024, 65536)
"""What may be asked for."""

KEPT = {1111: "the node API", 8080: "the router's HTTP", 2379: "etcd", 2380: "etcd"}
"""The usual ports of what stands beside a router, whether this grid uses them or not."""


def choose_port(facts: Facts, wanted: int, luck: int = 0) -> int:
    """The port `wanted`, or for 0 one that is free: the lowest of the pool, or `luck` places after it, around its end.

    Invalid: it is out of range, or flynn's own. Full: the pool has none left. Whether another route has it is not
    looked at when it was asked for.
    """
    kept = kept_ports(facts)
    if not wanted:
        taken = {route.port for route in facts.routes.values() if route.kind == "tcp"}
        free = [port for port in POOL if port not in taken and port not in kept]
        if not free:
            raise Full(f"all ports from {_span(POOL)} have a route; remove one, or ask for a port from {_span(CHOICE)}")
        return free[luck % len(free)]
    if wanted not in CHOICE:
        raise Invalid(
            f"port = {wanted} is no good; a port from {_span(CHOICE)}, or 0 for one from {_span(POOL)}", port=wanted
        )
    if wanted in kept:
        raise Invalid(
            f"port {wanted} is kept for {kept[wanted]}; ask for another, or 0 for one from {_span(POOL)}", port=wanted
        )
    return wanted


def kept_ports(facts: Facts) -> dict[int, str]:
    """The ports that no route may have, and what each is for, as the nodes of this grid have it."""
    own = {_port(host.url): f"the node API of {host.name}" for host in facts.hosts.values()}
    routers = {router.port: f"the router of {router.host}" for router in facts.routers.values()}
    return {**own, **routers, **KEPT}


def tcp_routes(facts: Facts, port: int) -> list[model.Route]:
    """The routes that have this port: one at most, unless somebody wrote past the API."""
    return [route for route in facts.routes.values() if route.kind == "tcp" and route.port == port]


def _port(url: str) -> int:
    port = url.rstrip("/").rpartition(":")[2]
    return int(port) if port.isdecimal() else 0


def _span(ports: range) -> str:
    return f"{ports[0]} to {ports[-1]}"

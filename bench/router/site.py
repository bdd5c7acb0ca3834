"""What every proxy is told: the names it knows, the apps behind them, and its duties with each request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

ROUTES = 10_000

ASKED = "app77.test"
"""The host that is asked for where one is."""

CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Site:
    """All `hosts` are answered by the apps that listen on `ports` of 127.0.0.1."""

    hosts: Sequence[str]
    ports: Sequence[int]

    def with_host(self, host: str) -> "Site":
        """The same, and one more name."""
        return replace(self, hosts=[*self.hosts, host])


def names(count: int) -> list[str]:
    return [f"app{n}.test" for n in range(count)]


TOLD = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Host"),
    *("X-Request-Id", "X-Request-Start", "Keep-Alive", "Proxy-Connection", "TE"),
)
"""The fields of a request that an app can be asked for (see `backends.py`): what it got of each, a line a field."""

PROBE = "GET /fields HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"

LIES = (
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 6\r\n"
    "X-Request-Id: short\r\nX-Request-Start: 1\r\n"
    "Connection: keep-alive, TE\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
)
"""What a client may say that is not to be believed, or was for the proxy alone."""


def neglected(got: Sequence[str], host: str, port: int, cannot: Collection[str] = ()) -> list[str]:
    """The duties that a proxy on `port` did not do, by what an app got of `TOLD` after `LIES`.

    `cannot`: fields that it has no means to make as they should be.
    """
    values = dict(zip(TOLD, got, strict=True))
    right = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": str(port),
        "X-Forwarded-Host": host,
        "X-Request-Id": values["X-Request-Id"] if len(values["X-Request-Id"]) >= 20 else "20 characters",
        "X-Request-Start": values["X-Request-Start"] if values["X-Request-Start"] not in ("", "1") else "the time",
        "Keep-Alive": "",
        "Proxy-Connection": "",
    }
    return [f"{name}: {values[name]}" for name, value in right.items() if values[name] != value and name not in cannot]

"""Which service a request goes to: an immutable table, built whole and swapped whole."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from flynn.core.model import Route

T = TypeVar("T")

Paths = tuple[tuple[bytes, T], ...]
"""Path prefixes of one host, longest first, each with an end slash."""


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """Routes by host. `T` is whatever stands for a service."""

    hosts: Mapping[bytes, Paths[T]]
    """Exact names, `*.` wildcards and `*`, all lower-case."""

    def find(self, host: bytes, target: bytes) -> T | None:
        """What serves `target` (a path with its query, as sent) on `host` (as sent, with or without a port)."""
        paths = self.hosts.get(host) or self._paths(host)
        if paths is None:
            return None
        if len(paths) == 1 and paths[0][0] == b"/":
            return paths[0][1]
        path = target.partition(b"?")[0] + b"/"
        for prefix, found in paths:
            if path.startswith(prefix) or prefix == b"/":
                return found
        return None

    def _paths(self, host: bytes) -> Paths[T] | None:
        name = plain(host)
        if found := self.hosts.get(name):
            return found
        _, dot, rest = name.partition(b".")
        while dot:
            if found := self.hosts.get(b"*." + rest):
                return found
            _, dot, rest = rest.partition(b".")
        return self.hosts.get(b"*")


def build(routes: Iterable[Route], place: Callable[[Route], T]) -> Table[T]:
    """The table of these routes. Of two for the same domain and path, the older one holds."""
    hosts: dict[bytes, dict[bytes, T]] = {}
    for route in sorted(routes, key=lambda r: (r.created, r.id)):
        prefix = b"/" + route.path.strip("/").encode() + b"/" if route.path.strip("/") else b"/"
        hosts.setdefault(plain(route.domain.encode()), {}).setdefault(prefix, place(route))
    return Table({host: tuple(sorted(paths.items(), key=lambda p: -len(p[0]))) for host, paths in hosts.items()})


def plain(host: bytes) -> bytes:
    """A host's name as the table has it: lower-case, without port, without the dot at its end."""
    if not host.startswith(b"["):
        host = host.partition(b":")[0]
    elif not host.endswith(b"]"):
        host = host.rpartition(b":")[0]
    return host.lower().removesuffix(b".")

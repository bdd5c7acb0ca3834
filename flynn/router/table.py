"""Where a request goes: places by host and path, changed one host at a time."""

from collections.abc import Collection, Iterable

from flynn.router.place import Place

Paths = tuple[tuple[bytes, Place], ...]
"""Path prefixes of one host, longest first, each with an end slash."""


class Table:
    """Places by host. Each host's paths are swapped whole; what changes many of them does so without waiting, so that
    nobody sees half of it. A change costs what the hosts that it touches have."""

    __slots__ = ("_later", "edition", "hosts")

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self.hosts: dict[bytes, Paths] = {}
        """Exact names, `*.` wildcards and `*`, all lower-case."""
        self._later: dict[bytes, tuple[Place, ...]] = {}
        """By host, those whose path an older route has: they take over when it goes."""
        self.edition = object()
        """Another one after each change: as long as it is the same, so is what `find` finds."""
        self.change((), places)

    def find(self, host: bytes, target: bytes) -> Place | None:
        """The place of `target` (a path with its query, as sent) on `host` (as sent, with or without a port)."""
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

    def change(self, gone: Collection[Place], new: Iterable[Place]) -> None:
        """Take places out and put others in. Of two for the same domain and path, the older one holds."""
        self.edition = object()
        touched: dict[bytes, list[Place]] = {_host(place): [] for place in gone}
        for place in new:
            touched.setdefault(_host(place), []).append(place)
        lost = frozenset(gone)
        for host, come in touched.items():
            here = [*(place for _, place in self.hosts.get(host, ())), *self._later.get(host, ())]
            self._lay(host, [*(place for place in here if place not in lost), *come])

    def _paths(self, host: bytes) -> Paths | None:
        name = plain(host)
        if found := self.hosts.get(name):
            return found
        _, dot, rest = name.partition(b".")
        while dot:
            if found := self.hosts.get(b"*." + rest):
                return found
            _, dot, rest = rest.partition(b".")
        return self.hosts.get(b"*")

    def _lay(self, host: bytes, places: list[Place]) -> None:
        """These are all places of a host."""
        paths: dict[bytes, Place] = {}
        for place in sorted(places, key=lambda place: (place.route.created, place.route.id)):
            paths.setdefault(_prefix(place), place)
        if paths:
            self.hosts[host] = tuple(sorted(paths.items(), key=lambda row: -len(row[0])))
        else:
            self.hosts.pop(host, None)
        if len(paths) < len(places):
            self._later[host] = tuple(place for place in places if paths[_prefix(place)] is not place)
        else:
            self._later.pop(host, None)


def _host(place: Place) -> bytes:
    return plain(place.route.domain.encode())


def _prefix(place: Place) -> bytes:
    path = place.route.path.strip("/")
    return b"/" + path.encode() + b"/" if path else b"/"


def plain(host: bytes) -> bytes:
    """A host's name as the table has it: lower-case, without port, without the dot at its end."""
    if not host.startswith(b"["):
        host = host.partition(b":")[0]
    elif not host.endswith(b"]"):
        host = host.rpartition(b":")[0]
    return host.lower().removesuffix(b".")

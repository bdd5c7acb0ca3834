"""Ports for jobs: taken from a random place in a range on, none twice, none that somebody else listens on."""

import random
import re
import socket
from collections.abc import Iterable

from flynn.core.errors import Full, StartError


class Ports:
    """The ports of this host. Building it parses `range` (`20000-29999`); StartError: it is none."""

    def __init__(self, range_: str, chance: random.Random | None = None) -> None:
        found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", range_)
        low, high = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1024 <= low <= high <= 65535:
            raise StartError(f"host.ports = {range_!r} is no good; write two ports from 1024 to 65535: 20000-29999")
        self._range = range(low, high + 1)
        self._chance = chance or random.Random()
        self._used: set[int] = set()

    def take(self, refused: Iterable[int] = ()) -> int:
        """A port for a job, until `free`. Full: none is left."""
        refused = set(refused)
        begin = self._chance.randrange(len(self._range))
        for at in range(begin, begin + len(self._range)):
            port = self._range[at % len(self._range)]
            if port not in self._used and port not in refused and _bindable(port):
                self._used.add(port)
                return port
        raise Full(f"no port from {self._range[0]} to {self._range[-1]} is free; widen host.ports")

    def keep(self, port: int) -> None:
        """Take this very port: a job that was adopted has it."""
        self._used.add(port)

    def free(self, port: int) -> None:
        self._used.discard(port)


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True

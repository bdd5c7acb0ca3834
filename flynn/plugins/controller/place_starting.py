"""How many jobs of a queue start on each host, and where as many do as may at a time. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flynn.core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

NO_LIMIT: Mapping[str, int] = {}
"""Any number of jobs may start on a host."""


class Starting:
    """`counts` by queue, then by host; `rows` are the hosts' rows. `most`: how many may start on one host, by queue; 0,
    or none: any number."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.rows: Mapping[str, int] = {}
        self._most = NO_LIMIT
        self._held: dict[str, NDArray[np.bool_]] = {}

    @property
    def most(self) -> Mapping[str, int]:
        return self._most

    @most.setter
    def most(self, most: Mapping[str, int]) -> None:
        if most != self._most:
            self._most = most
            self._held.clear()

    def lay_out(self, rows: Mapping[str, int]) -> None:
        """The hosts have other rows."""
        self.rows = rows
        self._held.clear()

    def count(self, queue: str, host: str, sign: int) -> None:
        """One more that starts, or (`sign` below 0) one less."""
        hosts = self.counts.setdefault(queue, {})
        count = hosts[host] = hosts.get(host, 0) + sign
        if (held := self._held.get(queue)) is not None:
            held[self.rows[host]] = count >= self._most[queue]
        if not count:
            del hosts[host]
            if not hosts:
                del self.counts[queue]

    def held(self, queue: str) -> "NDArray[np.bool_] | None":
        """On which rows as many start as may; None: there is no limit."""
        most = self._most.get(queue)
        if not most:
            return None
        found = self._held.get(queue)
        if found is None:
            found = self._held[queue] = np.zeros(len(self.rows), dtype=np.bool_)
            for host, count in self.counts.get(queue, {}).items():
                found[self.rows[host]] = count >= most
        return found

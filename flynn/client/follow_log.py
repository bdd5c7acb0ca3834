"""The log of an app without end: a stream that breaks, or is silent for too long, is opened again where it was."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flynn.client.patience import PAUSE, Patience
from flynn.core.errors import Unavailable
from flynn.core.logquery import told
from flynn.core.records import Line, Lines

if TYPE_CHECKING:
    from flynn.client.client import Client

SKEW = 5.0
"""Seconds that the clocks of two hosts may differ."""


@dataclass
class Place:
    """Where a reader has come to: by host, the number of the line to go on with."""

    time: float = 0.0
    hosts: dict[str, int] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)

    def note(self, line: Line) -> None:
        """One more line was read. `at` is that of the first line of a piece; the others follow it."""
        self.time = max(self.time, float(line.get("time") or 0))
        if line.get("kind") == "position":
            self.hosts |= line["hosts"]
        elif at := line.get("at"):
            host = line["host"]
            self.hosts[host] = self.hosts[host] + 1 if self.at.get(host) == at else at + 1
            self.at[host] = at

    def query(self) -> dict[str, str]:
        """What to ask for to go on; of hosts that were not there before, what is about as new."""
        return {"from": told(self.hosts), "since": f"{max(self.time - SKEW, 0.0):.6f}"} if self.hosts else {}


async def follow_log(client: "Client", app: str, n: int | None, wanted: Mapping[str, str]) -> Lines:
    """Each line once. Unavailable: the grid did not answer at first, or did not come back within RESUME seconds."""
    place, patience = Place(), Patience()
    while True:
        patience.opens()
        again = place.query()
        try:
            async with aclosing(client.log(app, None if again else n, True, {**wanted, **again})) as lines:
                place.at.clear()
                async for line in lines:
                    place.note(line)
                    patience.hears()
                    yield line
        except Unavailable as error:
            patience.check(error)
        await asyncio.sleep(PAUSE)
